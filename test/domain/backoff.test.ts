import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RETRY_SCHEDULE_DEFAULT_S, retryDelayMs, scheduleLengthMs } from "../../src/domain/backoff.ts";

const schedules = fc.array(fc.integer({ min: 0, max: 86_400 }), { maxLength: 20 });
const chances = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("retryDelayMs", () => {
  test("is the schedule's wait plus 0 to 20 %, in whole milliseconds", () => {
    fc.assert(
      fc.property(schedules, fc.integer({ min: 1, max: 25 }), chances, (schedule, failures, chance) => {
        const delay = retryDelayMs(schedule, failures, () => chance);
        const seconds = schedule[failures - 1];
        if (seconds === undefined || delay === undefined) {
          expect(delay).toBe(undefined);
          expect(seconds).toBe(undefined);
          return;
        }
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(seconds * 1_000);
        expect(delay).toBeLessThanOrEqual(seconds * 1_200 + 1);
      }),
    );
  });

  test("without failures there is nothing to retry", () => {
    expect(retryDelayMs([1, 5], 0, () => 0)).toBe(undefined);
  });
});

describe("the default schedule", () => {
  test("makes 12 attempts in about 3 days", () => {
    expect(RETRY_SCHEDULE_DEFAULT_S).toEqual([1, 5, 25, 125, 625, 3600, 10_800, 21_600, 43_200, 86_400, 86_400]);
    expect(scheduleLengthMs(RETRY_SCHEDULE_DEFAULT_S) / 86_400_000).toBeCloseTo(3.5, 1);
  });

  test("is never longer than scheduleLengthMs, whatever chance says", () => {
    fc.assert(
      fc.property(schedules, chances, (schedule, chance) => {
        const sum = schedule.reduce(
          (total, _, index) => total + (retryDelayMs(schedule, index + 1, () => chance) ?? 0),
          0,
        );
        expect(sum).toBeLessThanOrEqual(scheduleLengthMs(schedule) + schedule.length);
      }),
    );
  });
});
