import { describe, expect, test } from "bun:test";
import type { UserId } from "../../src/domain/ids.ts";
import { LagMeter } from "../../src/lib/lag-meter.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { GiveWay } from "../../src/publish/give-way.ts";

const user = (name: string) => name as UserId;

function machine() {
  const clock = new ManualClock();
  const state = { lagMs: 0, calmestMs: 0 };
  const giveWay = new GiveWay({ clock, lagMs: () => state.lagMs, calmestLagMs: () => state.calmestMs });
  /** A tenth of a second of pieces of 10 ms each; says how long the last one was to rest. */
  const work = (tenths: number, othersAreThere: boolean): number => {
    let rest = 0;
    for (let n = 0; n < tenths; n += 1) {
      clock.advance(100);
      if (othersAreThere) giveWay.cameBy(user("other"));
      rest = giveWay.restMs(10);
    }
    return rest;
  };
  return { clock, giveWay, state, work };
}

describe("work that can wait", () => {
  test("never rests while nobody else is there, however late the machine is", () => {
    const { state, work } = machine();
    state.lagMs = 1_000;
    expect(work(100, false)).toBe(0);
  });

  test("rests at once when others appear, and longer while they are served late", () => {
    const { state, work } = machine();
    state.lagMs = 20;
    const first = work(1, true);
    expect(first).toBeGreaterThan(0);
    const later = work(10, true);
    expect(later).toBeGreaterThan(first);
    expect(work(1_000, true)).toBeLessThanOrEqual(100);
  });

  test("rests less and less once the machine has time for everybody", () => {
    const { state, work } = machine();
    state.lagMs = 20;
    work(20, true);
    state.lagMs = 0;
    expect(work(200, true)).toBe(0);
  });

  test("does not rest for a machine that others keep as late in its calmest second", () => {
    const { state, work } = machine();
    state.lagMs = 20;
    state.calmestMs = 19;
    work(20, true);
    expect(work(600, true)).toBe(0);
    state.lagMs = 40;
    work(50, true);
    expect(work(1, true)).toBeGreaterThan(0);
  });

  test("has the machine to itself again a second after the last of the others", () => {
    const { state, work } = machine();
    state.lagMs = 20;
    expect(work(20, true)).toBeGreaterThan(0);
    expect(work(9, false)).toBeGreaterThan(0);
    expect(work(2, false)).toBe(0);
  });
});

test("what an account reads rests after it while others have events, within bounds, and else does not", () => {
  const { clock, giveWay } = machine();
  const reader = user("reader");
  expect(giveWay.readRestMs(500, reader)).toBe(0);
  giveWay.cameBy(reader);
  expect(giveWay.readRestMs(500, reader)).toBe(0);
  giveWay.cameBy(user("other"));
  expect(giveWay.readRestMs(1.5, reader)).toBe(4);
  expect(giveWay.readRestMs(200, reader)).toBe(600);
  expect(giveWay.readRestMs(5_000, reader)).toBeLessThan(3_000);
  clock.advance(1_001);
  expect(giveWay.readRestMs(500, reader)).toBe(0);
});

describe("nobody is another to itself", () => {
  test("an account's own events are no reason for its work to rest, and another's are", () => {
    const { giveWay, state } = machine();
    state.lagMs = 20;
    giveWay.cameBy(user("wide"));
    giveWay.cameBy(user("wide"));
    expect(giveWay.restMs(10, user("wide"))).toBe(0);
    expect(giveWay.restMs(10, user("large"))).toBeGreaterThan(0);
    giveWay.cameBy(user("small"));
    giveWay.cameBy(user("wide"));
    expect(giveWay.restMs(10, user("wide"))).toBeGreaterThan(0);
  });

  test("what began a burst does not count any more", () => {
    const { giveWay } = machine();
    giveWay.cameBy(user("bursting"));
    expect(giveWay.isNeeded()).toBe(true);
    giveWay.noteBurst(user("bursting"));
    expect(giveWay.isNeeded()).toBe(false);
    // For a while nothing of it counts.
    giveWay.cameBy(user("bursting"));
    expect(giveWay.isNeeded()).toBe(false);
    giveWay.cameBy(user("first"));
    giveWay.cameBy(user("second"));
    giveWay.noteBurst(user("second"));
    expect(giveWay.isNeeded()).toBe(true);
    expect(giveWay.isNeeded(user("first"))).toBe(false);
  });
});

describe("the lag meter", () => {
  test("says what nine of ten timers of the last second stayed within", async () => {
    let lateMs = 0;
    const clock = new ManualClock();
    const meter = new LagMeter({
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs, run) => clock.after(delayMs + lateMs, run),
      soon: (run) => clock.soon(run),
    });
    expect(meter.lagMs).toBe(0);
    await meter.start();
    clock.advance(2_000);
    expect(meter.lagMs).toBe(0);
    lateMs = 15;
    clock.advance(2_000);
    expect(meter.lagMs).toBe(15);
    // Two seconds before were in time, for a minute.
    expect(meter.calmestMs).toBe(0);
    clock.advance(120_000);
    expect(meter.calmestMs).toBe(15);
    await meter.stop();
  });
});
