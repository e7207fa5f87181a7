// When a failed delivery is tried again.

import type { Random } from "../lib/random.ts";

/** Seconds between attempts: 11 retries, 12 attempts, about 3 days in all. */
export const RETRY_SCHEDULE_DEFAULT_S: readonly number[] = [
  1, 5, 25, 125, 625, 3600, 10_800, 21_600, 43_200, 86_400, 86_400,
];

/** Spreads the retries of deliveries that failed together: 0 to +20 %, never earlier than the schedule says. */
const JITTER_MAX = 0.2;

/**
 * Milliseconds (whole) until the next attempt, after `failures` failed ones of this schedule (1 = the first has just
 * failed); undefined when the schedule is used up.
 */
export function retryDelayMs(schedule: readonly number[], failures: number, random: Random): number | undefined {
  const seconds = schedule[failures - 1];
  if (seconds === undefined) return undefined;
  return Math.round(seconds * 1_000 * (1 + JITTER_MAX * random()));
}

/** The longest that a delivery can take from acceptance to its last attempt, milliseconds. */
export function scheduleLengthMs(schedule: readonly number[]): number {
  return schedule.reduce((sum, seconds) => sum + seconds, 0) * 1_000 * (1 + JITTER_MAX);
}
