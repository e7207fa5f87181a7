import { expect, test } from "bun:test";
import { type Clock, ManualClock } from "../../src/lib/clock.ts";
import { Deadlines } from "../../src/sender/deadline.ts";

/** `turn` ends a turn of the event loop. */
function turning() {
  const time = new ManualClock();
  const waiting: (() => void)[] = [];
  const clock: Clock = {
    now: () => time.now(),
    monotonic: () => time.monotonic(),
    after: (delayMs, run) => time.after(delayMs, run),
    soon: (run) => void waiting.push(run),
  };
  const turn = (): number => waiting.splice(0).map((run) => run()).length;
  return { time, turn, deadlines: new Deadlines(clock) };
}

function passed(count: number) {
  const { time, turn, deadlines } = turning();
  const ended: number[] = [];
  const all = Array.from({ length: count }, (_, n) => {
    const deadline = deadlines.after(15_000);
    deadline.whenPassed(() => ended.push(n));
    return deadline;
  });
  time.advance(15_000);
  return { all, ended, turn };
}

test("deadlines that pass together end one in a turn of the event loop, in their order", () => {
  const { all, ended, turn } = passed(20);
  expect(all.every((deadline) => deadline.hasPassed)).toBe(true);
  expect(ended).toEqual([]);
  for (let turns = 1; turns <= 20; turns += 1) {
    turn();
    expect(ended).toEqual(Array.from({ length: turns }, (_, n) => n));
  }
  expect(turn()).toBe(0);
});

test("thousands of them do not need thousands of turns", () => {
  const { ended, turn } = passed(4_096);
  let turns = 0;
  while (turn() > 0) turns += 1;
  expect(ended.length).toBe(4_096);
  expect(turns).toBeLessThan(250);
});

test("an attempt that is over when its turn comes is left alone", () => {
  const { all, ended, turn } = passed(2);
  all[1]?.end();
  while (turn() > 0);
  expect(ended).toEqual([0]);
});
