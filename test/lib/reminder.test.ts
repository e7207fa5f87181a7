import { expect, test } from "bun:test";
import { ManualClock } from "../../src/lib/clock.ts";
import { Reminder } from "../../src/lib/reminder.ts";

test("the same is due once an interval, something else and what comes anew at once", () => {
  const clock = new ManualClock();
  const reminder = new Reminder(clock, 10_000);
  expect([reminder.isDue("a"), reminder.isDue("a")]).toEqual([true, false]);
  clock.advance(9_999);
  expect(reminder.isDue("a")).toBe(false);
  clock.advance(1);
  expect([reminder.isDue("a"), reminder.isDue("a")]).toEqual([true, false]);
  expect([reminder.isDue("b"), reminder.isDue("b")]).toEqual([true, false]);
  reminder.forget();
  expect(reminder.isDue("b")).toBe(true);
});
