import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ManualClock, sleep, systemClock } from "../../src/lib/clock.ts";

describe("ManualClock", () => {
  test("runs timers in the order of their instants, each once and at its time, however time moves on", () => {
    const delays = fc.array(fc.integer({ min: -5, max: 50 }), { maxLength: 20 });
    const steps = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 10 });
    fc.assert(
      fc.property(delays, steps, (given, moves) => {
        const clock = new ManualClock(0);
        const ran: { at: number; index: number }[] = [];
        given.forEach((delay, index) => clock.after(delay, () => ran.push({ at: clock.now(), index })));
        for (const ms of moves) clock.advance(ms);
        clock.advance(0);
        const end = moves.reduce((sum, ms) => sum + ms, 0);
        const expected = given
          .map((delay, index) => ({ at: Math.max(0, delay), index }))
          .filter(({ at }) => at <= end)
          .toSorted((a, b) => a.at - b.at || a.index - b.index);
        expect(ran).toEqual(expected);
        expect(clock.monotonic()).toBe(end);
      }),
    );
  });

  test("a cancelled timer never runs, and a timer may set another", () => {
    const clock = new ManualClock(0);
    const ran: string[] = [];
    clock.after(5, () => ran.push("cancelled")).cancel();
    clock.after(1, () => clock.after(1, () => ran.push(`second at ${clock.now()}`)));
    clock.advance(10);
    expect(ran).toEqual(["second at 2"]);
  });

  test("ends a sleep", async () => {
    const clock = new ManualClock(0);
    const slept = sleep(clock, 1_000);
    clock.advance(1_000);
    await slept;
  });
});

test("the system's monotonic clock does not go back", () => {
  const first = systemClock.monotonic();
  expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
});
