// The lease protocol under everything that can go wrong, seeded: lost and slow requests, frozen processes, sleeping
// machines, clocks that jump, workers that come, go and die, a worker cut off, a deleted bucket. At no instant may two
// workers have requests under way for one partition; and when the trouble is over each partition has one owner.

import { describe, expect, test } from "bun:test";
import { Lease, quotaOf } from "../../src/domain/lease.ts";
import { ALL_PARTITIONS, partitionName } from "../../src/domain/partition.ts";
import { SimulatedFleet, SOUND, type Teeth } from "./simulation/fleet.ts";
import { FAIR } from "./simulation/process.ts";
import { World } from "./simulation/world.ts";

const SEEDS = 40;
/** Chances that a broken rule is seen in one seed are better than one in two. */
const SEEDS_UNTIL_SEEN = 20;
const TROUBLE_MS = 150_000;
/** A lease must run out, then the partitions must be shared again. */
const CALM_MS = 60_000;
const WORKERS_MAX = 7;

type Trouble = (fleet: SimulatedFleet) => void;

const TROUBLES: readonly Trouble[] = [
  function badWeather({ world, present }) {
    const worker = world.oneOf(present);
    if (worker === undefined) return;
    worker.process.weather = {
      requestLost: world.between(0, 0.5),
      answerLost: world.between(0, 0.5),
      slow: world.between(0, 0.8),
      slowMs: 4_000,
    };
    world.after(world.between(1_000, 30_000), () => (worker.process.weather = FAIR));
  },
  function freezeWhileWaiting({ world, present }) {
    const worker = world.oneOf(present);
    if (worker === undefined) return;
    worker.process.weather = { ...FAIR, slow: 1, slowMs: 1_000 };
    world.after(world.between(3_000, 6_000), () => worker.process.freeze());
    world.after(world.between(8_000, 25_000), () => {
      worker.process.weather = FAIR;
      worker.process.thaw(false);
    });
  },
  function freeze({ world, present }) {
    const worker = world.oneOf(present);
    worker?.process.freeze();
    world.after(world.between(50, 25_000), () => worker?.process.thaw(false));
  },
  function sleep({ world, present }) {
    const worker = world.oneOf(present);
    worker?.process.freeze();
    world.after(world.between(50, 25_000), () => worker?.process.thaw(true));
  },
  function jump({ world, present }) {
    // Not of a frozen one: both of a machine's clocks wrong at once leave no trace.
    const running = present.filter(({ process }) => process.isRunning);
    world.oneOf(running)?.process.jumpWallClock(world.between(-40_000, 40_000));
  },
  function cutOff({ world, present }) {
    const worker = world.oneOf(present);
    worker?.process.cutOff();
    world.after(world.between(500, 30_000), () => worker?.process.reconnect());
  },
  function kill({ world, present }) {
    if (present.length > 1) world.oneOf(present)?.kill();
  },
  function leave({ world, present }) {
    if (present.length > 1) world.oneOf(present)?.stop();
  },
  function join(fleet) {
    if (fleet.present.length < WORKERS_MAX) fleet.join();
  },
  function losePostgres({ world, present }) {
    const worker = world.oneOf(present);
    if (worker === undefined) return;
    worker.isAble = false;
    world.after(world.between(1_000, 40_000), () => (worker.isAble = true));
  },
  function deleteBucket(fleet) {
    if (fleet.bucket !== undefined && fleet.world.happens(0.3)) fleet.deleteBucket(fleet.world.between(10, 3_000));
  },
];

async function simulate(seed: number, teeth: Teeth = SOUND): Promise<SimulatedFleet> {
  const world = new World(seed);
  const fleet = new SimulatedFleet(world, 2 + Math.floor(world.between(0, 4)), teeth);
  await world.runUntil(world.between(0, 8_000));
  while (world.now < TROUBLE_MS) {
    world.oneOf(TROUBLES)?.(fleet);
    await world.runUntil(world.now + world.between(300, 8_000));
  }
  // The longest trouble is over by then.
  await world.runUntil(world.now + 30_000);
  for (const worker of fleet.present) {
    worker.process.thaw(false);
    worker.isAble = true;
  }
  await world.runUntil(world.now + CALM_MS);
  return fleet;
}

describe("ownership", () => {
  test(`never has two workers request for one partition, and recovers (${SEEDS} seeds)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { present, violations } = await simulate(seed);
      expect(violations.slice(0, 3), `seed ${seed}`).toEqual([]);
      const owned = present.flatMap(({ tenures }) => [...tenures.keys()]).toSorted((a, b) => a - b);
      expect(owned, `seed ${seed}`).toEqual([...ALL_PARTITIONS]);
      const shares = present.map(({ tenures }) => tenures.size);
      const expected = present.map((_, rank) => quotaOf(ALL_PARTITIONS.length, present.length, rank));
      expect(shares, `seed ${seed}`).toEqual(expected);
    }
  });

  test(`leaves a worker whose Postgres does not answer, while another's does (${SEEDS} seeds)`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const world = new World(seed);
      const fleet = new SimulatedFleet(world, 2 + Math.floor(world.between(0, 4)), SOUND);
      await world.runUntil(30_000);
      const unable = fleet.present.filter((_, index) => index > 0 && world.happens(0.5));
      for (const worker of unable) worker.isAble = false;
      await world.runUntil(world.now + CALM_MS);
      for (const worker of unable) expect(worker.tenures.size, `seed ${seed}`).toBe(0);
      const owned = () => fleet.present.flatMap(({ tenures }) => [...tenures.keys()]).toSorted((a, b) => a - b);
      expect(owned(), `seed ${seed}`).toEqual([...ALL_PARTITIONS]);
      // When it answers nobody, everybody keeps a share.
      for (const worker of fleet.present) worker.isAble = false;
      await world.runUntil(world.now + CALM_MS);
      expect(owned(), `seed ${seed}`).toEqual([...ALL_PARTITIONS]);
      expect(fleet.violations, `seed ${seed}`).toEqual([]);
    }
  });

  test("does not hold without the rules: the simulation would see it", async () => {
    const broken: Record<string, Teeth> = {
      "the request's length is not looked at": { ...SOUND, mayStart: (lease) => lease.isCurrent() },
      "the deadline is counted from the answer": {
        ...SOUND,
        tamper(lease, process, partition) {
          lease.renewed = (revision, sentAt) =>
            Lease.prototype.renewed.call(lease, revision, sentAt + process.msSinceWrite(partitionName(partition)));
        },
      },
    };
    for (const [what, teeth] of Object.entries(broken)) {
      let violations = 0;
      for (let seed = 1; seed <= SEEDS_UNTIL_SEEN && violations === 0; seed += 1) {
        violations = (await simulate(seed, teeth)).violations.length;
      }
      expect(violations, what).toBeGreaterThan(0);
    }
  });
});
