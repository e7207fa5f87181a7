// The bucket of leases on a real server: what the simulation of ownership takes for granted.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { WriteWatch } from "../../src/stream/write-watch.ts";
import { NatsLink } from "../../src/stream/connection.ts";
import { type Entry, OwnersBucket } from "../../src/stream/owners-bucket.ts";
import { ensureTopology } from "../../src/stream/topology.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";

/** So long that nothing expires while a test looks: the machine may stand still for seconds. */
const LONG_TTL_MS = 60_000;
/** For what is to expire. */
const TTL_MS = 2_000;

let nats: TestNats;
let link: NatsLink;
let bucket: OwnersBucket;

beforeAll(async () => {
  nats = await testNats();
  link = new NatsLink({ url: nats.url, name: "test", clock: systemClock });
  await link.start();
  await eventually(() => ensureTopology(connection(), 1));
  bucket = new OwnersBucket(link, new WriteWatch({ clock: systemClock, onSilent: () => {} }));
});
afterAll(async () => {
  await link.stop();
  await nats.stop();
});

function connection() {
  if (link.connection === undefined) throw new Error("not connected");
  return link.connection;
}

/** What a watcher hears, and how to end it. */
function watch() {
  const heard: Entry[] = [];
  let hasEnded = false;
  const watching = bucket.watch(
    (entry) => heard.push(entry),
    () => {
      hasEnded = true;
    },
  );
  const of = (key: string) => {
    if (hasEnded) throw new Error("the watch has ended by itself");
    return heard.filter((entry) => entry.key === key);
  };
  return { of, stop: () => watching.stop() };
}

test("a key is written by whoever knows its last revision, and by nobody else", async () => {
  const first = await bucket.write("p00", "one", 0, LONG_TTL_MS);
  expect(first).toBeGreaterThan(0);
  expect(await bucket.write("p00", "two", 0, LONG_TTL_MS)).toBeUndefined();
  const second = await bucket.write("p00", "two", first ?? 0, LONG_TTL_MS);
  expect(second).toBeGreaterThan(first ?? 0);
  expect(await bucket.write("p00", "three", first ?? 0, LONG_TTL_MS)).toBeUndefined();
  expect(await bucket.read("p00")).toEqual({ key: "p00", revision: second ?? 0, value: "two" });
});

test("a key that was never written has no revision", async () => {
  expect(await bucket.read("p07")).toBeUndefined();
});

test("a key is deleted by compare-and-set, and what stands for it has a revision", async () => {
  const { of, stop } = watch();
  const revision = (await bucket.write("p01", "one", 0, LONG_TTL_MS)) ?? 0;
  await eventually(() => expect(of("p01").map(({ value }) => value)).toEqual(["one"]));
  expect(await bucket.remove("p01", revision - 1)).toBe(false);
  expect(await bucket.remove("p01", revision)).toBe(true);
  const deleted = await bucket.read("p01");
  expect(deleted?.value).toBeNull();
  expect(deleted?.revision).toBeGreaterThan(revision);
  expect(await bucket.write("p01", "two", revision, LONG_TTL_MS)).toBeUndefined();
  expect(await bucket.write("p01", "two", deleted?.revision ?? 0, LONG_TTL_MS)).toBeGreaterThan(0);
  await eventually(() => expect(of("p01").map(({ value }) => value)).toEqual(["one", null, "two"]));
  stop();
});

test("a key expires its time to live after its last renewal, never before, and a watcher hears of it", async () => {
  const { of, stop } = watch();
  const { key, revision, renewedAt } = await renewedForLongerThanItLives();
  expect((await bucket.read(key))?.value).toBe("mine");
  const expired = await eventually(
    () => {
      const last = of(key).at(-1);
      expect(last?.value).toBeNull();
      return last;
    },
    20_000,
    5,
  );
  expect(systemClock.monotonic() - renewedAt).toBeGreaterThanOrEqual(TTL_MS);
  expect(expired?.revision).toBeGreaterThan(revision);
  // Its marker stands in its place: a claim must know that.
  expect(await bucket.write(key, "yours", 0, TTL_MS)).toBeUndefined();
  expect(await bucket.write(key, "yours", expired?.revision ?? 0, TTL_MS)).toBeGreaterThan(0);
  stop();
});

/** Another key when the machine has stood still for so long between two renewals that the first had to expire. */
async function renewedForLongerThanItLives() {
  for (let attempt = 1; ; attempt += 1) {
    const key = `renewed-${attempt}`;
    const claimedAt = systemClock.monotonic();
    let renewedAt = claimedAt;
    let longestPauseMs = 0;
    let revision = await bucket.write(key, "mine", 0, TTL_MS);
    while (revision !== undefined && systemClock.monotonic() - claimedAt < 1.5 * TTL_MS) {
      await sleep(systemClock, 250);
      const now = systemClock.monotonic();
      revision = await bucket.write(key, "mine", revision, TTL_MS).catch(() => undefined);
      longestPauseMs = Math.max(longestPauseMs, systemClock.monotonic() - renewedAt);
      renewedAt = now;
    }
    if (revision !== undefined) return { key, revision, renewedAt };
    expect(longestPauseMs).toBeGreaterThanOrEqual(TTL_MS);
  }
}

test("a watcher hears first what is there already, and goes on after the server was away", async () => {
  const before = (await bucket.write("p03", "before", 0, LONG_TTL_MS)) ?? 0;
  const { of, stop } = watch();
  await eventually(() => expect(of("p03").map(({ value }) => value)).toEqual(["before"]));
  await nats.kill();
  await nats.restart();
  await eventually(async () => expect(await bucket.write("p03", "after", before, LONG_TTL_MS)).toBeGreaterThan(0));
  await eventually(() => expect(of("p03").at(-1)?.value).toBe("after"));
  stop();
});

test("a bucket that takes another one's place was created at another time", async () => {
  const { bucketCreatedAt, bucketAgeMs } = await ensureTopology(connection(), 1);
  expect(await bucket.createdAt()).toBe(bucketCreatedAt);
  expect(bucketAgeMs).toBeGreaterThan(0);
  const wipedAt = systemClock.monotonic();
  await nats.wipe();
  const next = await eventually(() => ensureTopology(connection(), 1));
  expect(next.bucketCreatedAt).not.toBe(bucketCreatedAt);
  expect(next.bucketAgeMs).toBeLessThanOrEqual(systemClock.monotonic() - wipedAt);
  expect(await bucket.createdAt()).toBe(next.bucketCreatedAt);
  expect(await bucket.read("p00")).toBeUndefined();
});
