// One time for several processes of one machine, with fractions of a millisecond: each process' start on the wall clock
// plus its monotonic time since then.

import type { Clock } from "../lib/clock.ts";

/** Milliseconds since the Unix epoch. */
export function wallTimeMs(clock: Clock): number {
  return performance.timeOrigin + clock.monotonic();
}
