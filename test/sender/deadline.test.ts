import { expect, test } from "bun:test";
import { type Clock, ManualClock } from "../../src/lib/clock.ts";
import { Deadlines } from "../../src/sender/deadline.ts";

/** `turn` ends a turn of the event loop. */
function turning() {
  const time = new ManualClock();
  const waiting: (() => void)[] = [];
  let timers = 0;
  const clock: Clock = {
    now: () => time.now(),
    monotonic: () => time.monotonic(),
    after(delayMs, run) {
      let isPending = true;
      timers += 1;
      const over = (): void => {
        if (isPending) timers -= 1;
        isPending = false;
      };
      const timer = time.after(delayMs, () => {
        over();
        run();
      });
      return {
        cancel() {
          over();
          timer.cancel();
        },
      };
    },
    soon: (run) => void waiting.push(run),
  };
  const turn = (): number => waiting.splice(0).map((run) => run()).length;
  return { time, turn, timers: () => timers, deadlines: new Deadlines(clock) };
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

test("each passes when its own time is over, whatever began or ended beside it", () => {
  const { time, turn, deadlines } = turning();
  const ended: string[] = [];
  const begin = (name: string, timeoutMs: number) => {
    const deadline = deadlines.after(timeoutMs);
    deadline.whenPassed(() => ended.push(`${name} at ${time.monotonic() - start}`));
    return deadline;
  };
  const start = time.monotonic();
  const over = begin("over", 1_000);
  time.advance(100);
  begin("second", 1_000);
  begin("short", 300);
  time.advance(100);
  begin("third", 1_000);
  over.end();
  for (let ms = 200; ms < 2_000; ms += 100) {
    time.advance(100);
    while (turn() > 0);
  }
  expect(ended).toEqual(["short at 400", "second at 1100", "third at 1200"]);
});

test("when none is under way there is no timer, and the next one passes in time", () => {
  const { time, turn, timers, deadlines } = turning();
  deadlines.after(1_000).end();
  expect(timers()).toBe(0);
  time.advance(600);
  const later = deadlines.after(1_000);
  const beside = deadlines.after(1_000);
  expect(timers()).toBe(1);
  time.advance(999);
  expect(later.hasPassed).toBe(false);
  time.advance(1);
  expect([later.hasPassed, beside.hasPassed, timers()]).toEqual([true, true, 0]);
  expect(turn()).toBe(1);
});
