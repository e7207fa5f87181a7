// Workers as processes of their own: how they share the partitions as they come, leave and die, and how the deliveries
// are spread over them.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ALL_PARTITIONS } from "../../src/domain/partition.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";
import { Fleet, LEASE_TTL_MS, type Role } from "./fleet.ts";
import { Load, type Target } from "./load.ts";
import { RecordingReceiver } from "./receiver.ts";
import { duplicatesAmong, settled, undelivered } from "./verdict.ts";

const TARGETS_PER_PARTITION = 12;
const SPREAD = 0.15;

let receiver: RecordingReceiver;
let fleet: Fleet;
let load: Load;
let targets: Target[];

beforeAll(async () => {
  receiver = await RecordingReceiver.start();
  const startedAt = systemClock.monotonic();
  fleet = await Fleet.start({ workers: 4 });
  expect(systemClock.monotonic() - startedAt).toBeLessThan(20_000);
  load = new Load({ apiUrl: fleet.url, receiver, accounts: 1, webhooks: 640, latencyMs: () => 5, failEvery: 0 });
  await load.prepare();
  targets = ALL_PARTITIONS.flatMap((partition) =>
    load.targets.filter((target) => target.partition === partition).slice(0, TARGETS_PER_PARTITION),
  );
});
afterAll(async () => {
  await fleet.stop();
  await receiver.stop();
});

/** Attempts that a worker has logged. */
function attemptsOf({ name }: Role): number {
  const lines = readFileSync(join(fleet.folder, `${name}.log`), "utf8").split("\n");
  return lines.filter((line) => line.includes('"delivery.attempted"')).length;
}

test("four workers own two partitions each, and deliver as much", async () => {
  expect(await fleet.balanced(4, 10_000)).toEqual([2, 2, 2, 2]);
  expect(targets).toHaveLength(ALL_PARTITIONS.length * TARGETS_PER_PARTITION);
  for (let round = 0; round < 4; round += 1) await Promise.all(targets.map((target) => load.publish(target)));
  await settled(fleet, load, receiver);
  const total = targets.length * 4;
  await eventually(() => {
    const attempts = fleet.workers.map(attemptsOf);
    expect(attempts.reduce((sum, count) => sum + count, 0)).toBe(total);
    for (const count of attempts) {
      expect(Math.abs(count / (total / 4) - 1)).toBeLessThan(SPREAD);
    }
  });
});

test("a fifth joins and another leaves: balance again, and no delivery twice", async () => {
  load.start(150);
  await fleet.startWorker();
  expect(await fleet.balanced(5, 10_000)).toEqual([1, 1, 2, 2, 2]);
  const leaver = fleet.worker(1);
  const toldAt = systemClock.monotonic();
  leaver.signal("SIGTERM");
  expect(await leaver.exited).toBe(0);
  // Nobody waits for its leases to end.
  expect(systemClock.monotonic() - toldAt).toBeLessThan(LEASE_TTL_MS / 2);
  expect(await fleet.balanced(4, 10_000)).toEqual([2, 2, 2, 2]);
  await load.stop();
  await settled(fleet, load, receiver);
  const { requests } = await receiver.requests();
  expect(undelivered(load.accepted, requests)).toEqual([]);
  expect(duplicatesAmong(requests)).toEqual([]);
  expect(requests.filter(({ overlapMs }) => overlapMs > 0)).toEqual([]);
});

test("one is killed: the others share what it had", async () => {
  fleet.worker(2).signal("SIGKILL");
  expect(await fleet.balanced(3, 10_000)).toEqual([2, 3, 3]);
});
