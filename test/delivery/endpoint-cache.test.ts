// Settings in memory, against changes that are announced while they are being read.

import { describe, expect, test } from "bun:test";
import { EndpointCache, type StoredEndpoint } from "../../src/delivery/endpoint-cache.ts";
import { CLOSED } from "../../src/domain/circuit.ts";
import type { UserId, WebhookId } from "../../src/domain/ids.ts";
import { WEBHOOK_CACHE_MS } from "../../src/domain/limits.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const ours = "ours" as WebhookId;
const other = "other" as WebhookId;
const broken = "broken" as WebhookId;

function endpointOf(webhookId: WebhookId, url: string, cancelBefore: number | null = null): StoredEndpoint {
  return {
    webhookId,
    userId: "user" as UserId,
    url,
    headers: {},
    maxInFlight: 10,
    isActive: true,
    secrets: [Buffer.from("secret")],
    cancelBefore,
    stored: { circuit: CLOSED, gateOpensInMs: 0, failingForMs: null },
  };
}

const shutOf = (url: string) => ({ ...endpointOf(ours, url), secrets: [], unreadable: null });

/** Secrets are in plain here. */
function decrypt(secret: Uint8Array, webhookId: WebhookId): string {
  if (webhookId === broken) throw new Error("cannot decrypt");
  return Buffer.from(secret).toString();
}

/** Loads wait until the test answers them, oldest first. */
function cache() {
  const clock = new ManualClock();
  const loaded: string[] = [];
  const loads: { ids: readonly WebhookId[]; answer: (url: string, cancelBefore?: number) => Promise<void> }[] = [];
  const made = new EndpointCache({
    clock,
    observe: () => {},
    load: (ids) =>
      new Promise((resolve) => {
        const answer = async (url: string, cancelBefore?: number) => {
          resolve(ids.map((id) => endpointOf(id, url, cancelBefore)));
          await settled();
        };
        loads.push({ ids, answer });
      }),
    decrypt,
    circuits: { load: () => {} },
    onLoaded: (id) => void loaded.push(`${id}: ${made.maxInFlight(id)} in flight`),
    disable: () => Promise.resolve(true),
  });
  const find = (webhookId: WebhookId) => {
    const found = Promise.resolve(made.find(webhookId));
    clock.advance(1);
    return found;
  };
  return { clock, made, loads, loaded, find };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe("what is being read", () => {
  test("is kept although other webhooks change meanwhile", async () => {
    const { made, loads, find } = cache();
    const found = find(ours);
    for (let change = 0; change < 100; change += 1) made.forget(other);
    await loads[0]?.answer("first");
    expect(await found).toMatchObject({ url: "first" });
    expect(made.find(ours)).toMatchObject({ url: "first" });
    expect(loads).toHaveLength(1);
  });

  test("is announced once it is known: until then one message of it was in flight", async () => {
    const { made, loads, loaded, find } = cache();
    const found = find(ours);
    expect(made.maxInFlight(ours)).toBe(1);
    await loads[0]?.answer("first");
    await found;
    expect(loaded).toEqual(["ours: 10 in flight"]);
  });

  test("is not kept when its webhook changes meanwhile, and who asks after the change gets what is true after it", async () => {
    const { made, loads, find } = cache();
    const before = find(ours);
    made.forget(ours);
    const after = find(ours);
    await loads[0]?.answer("old");
    expect(await before).toMatchObject({ url: "old" });
    await loads[1]?.answer("new");
    expect(await after).toMatchObject({ url: "new" });
    expect(made.find(ours)).toMatchObject({ url: "new" });
  });

  test("is not kept when changes may have been announced unheard", async () => {
    const { made, loads, find } = cache();
    const before = find(ours);
    made.forgetAll();
    await loads[0]?.answer("old");
    expect(await before).toMatchObject({ url: "old" });
    const after = find(ours);
    await loads[1]?.answer("new");
    expect(await after).toMatchObject({ url: "new" });
    made.forgetAll();
    expect(made.maxInFlight(ours)).toBe(1);
  });

  test("can be asked for anew, and is what is kept then", async () => {
    const { clock, made, loads, find } = cache();
    const before = find(ours);
    await loads[0]?.answer("old");
    expect(await before).toMatchObject({ url: "old" });
    const after = made.reload(ours);
    clock.advance(1);
    expect(made.find(ours)).toMatchObject({ url: "old" });
    await loads[1]?.answer("new");
    expect(await after).toMatchObject({ url: "new" });
    expect(made.find(ours)).toMatchObject({ url: "new" });
  });

  test("is read once for all who ask meanwhile", async () => {
    const { loads, find } = cache();
    const asked = [find(ours), find(ours), find(ours)];
    await loads[0]?.answer("first");
    for (const found of asked) expect(await found).toMatchObject({ url: "first" });
    expect(loads).toHaveLength(1);
  });

  test("does not open an endpoint that was shut meanwhile", async () => {
    const { made, loads, find } = cache();
    const before = find(ours);
    made.shut(shutOf("gone"));
    await loads[0]?.answer("gone");
    expect(await before).toMatchObject({ url: "gone", isActive: false });
    expect(made.find(ours)).toMatchObject({ url: "gone", isActive: false });
  });

  test("a load that fails is tried again by the next who asks", async () => {
    const { clock } = cache();
    let fails = true;
    const made = new EndpointCache({
      clock,
      observe: () => {},
      load: (ids) =>
        fails ? Promise.reject(new Error("away")) : Promise.resolve(ids.map((id) => endpointOf(id, "up"))),
      decrypt,
      circuits: { load: () => {} },
      onLoaded: () => {},
      disable: () => Promise.resolve(true),
    });
    const failed = Promise.resolve(made.find(ours));
    clock.advance(1);
    expect(await failed.catch(String)).toBe("Error: away");
    fails = false;
    const found = Promise.resolve(made.find(ours));
    clock.advance(1);
    expect(await found).toMatchObject({ url: "up" });
  });
});

describe("an endpoint that is shut", () => {
  test("is shut at its URL: one that its owner has given it meanwhile stays open", async () => {
    const { made, loads, find } = cache();
    const before = find(ours);
    await loads[0]?.answer("old");
    expect(await before).toMatchObject({ url: "old", isActive: true });
    made.forget(ours);
    made.shut(shutOf("old"));
    const after = find(ours);
    await loads[1]?.answer("new");
    expect(await after).toMatchObject({ url: "new", isActive: true });
    expect(made.find(ours)).toMatchObject({ url: "new", isActive: true });
  });

  test("opens when a change of it is announced, and when its time is over without one", async () => {
    const { clock, made, loads, find } = cache();
    for (const open of [() => made.forget(ours), () => clock.advance(WEBHOOK_CACHE_MS)]) {
      made.shut(shutOf("url"));
      const shut = find(ours);
      await loads.at(-1)?.answer("url");
      expect(await shut).toMatchObject({ isActive: false });
      open();
      const opened = find(ours);
      await loads.at(-1)?.answer("url");
      expect(await opened).toMatchObject({ isActive: true });
    }
  });
});

test("what is known is read anew in the second half of its time, while nobody waits", async () => {
  const { clock, made, loads, find } = cache();
  const before = find(ours);
  await loads[0]?.answer("first");
  expect(await before).toMatchObject({ url: "first" });
  clock.advance(WEBHOOK_CACHE_MS * 0.6);
  expect(await find(ours)).toMatchObject({ url: "first" });
  await loads[1]?.answer("second");
  expect(made.find(ours)).toMatchObject({ url: "second" });
});

test("secrets that cannot be read are their endpoint's trouble alone, and say which setting to look at", async () => {
  const { clock, made, loads } = cache();
  const found = Promise.all([made.find(ours), made.find(broken)]);
  clock.advance(1);
  await loads[0]?.answer("up");
  const [read, unreadable] = await found;
  expect(read).toMatchObject({ secrets: ["secret"], unreadable: null });
  expect(unreadable).toMatchObject({ secrets: [], unreadable: "secrets: cannot decrypt; check SECRETS_KEY" });
});

test("a cancellation is remembered when the table has forgotten it, and a newer one of the table holds", async () => {
  const { clock, made, loads, find } = cache();
  made.cancelled(ours, 1_000);
  const first = find(ours);
  await loads[0]?.answer("on again");
  expect(await first).toMatchObject({ isActive: true, cancelBefore: 1_000 });
  clock.advance(60 * 60_000);
  const later = find(ours);
  await loads[1]?.answer("on again", 2_000);
  expect(await later).toMatchObject({ cancelBefore: 2_000 });
});
