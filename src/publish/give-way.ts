// Work that can wait (the refill of a backlog, one account's burst of events) gives way to everybody else's while the
// machine is short of processor time: after every piece of it it rests, the longer the later this process is served.
// While nobody else is there it never rests: alone, a backlog has the whole machine.

import type { Clock } from "../lib/clock.ts";

/** Others count as there for so long after the last of their work. */
const OTHERS_REMEMBERED_MS = 1_000;
/** A process that is served later than this shares its processor with too much. */
const LATE_MS = 2.5;
const ADJUST_INTERVAL_MS = 100;
/** Rest for each millisecond of work: when others appear, and at most. */
const RATIO_START = 3;
const RATIO_MAX = 16;
/** A batch of a thousand subscribers is some dozens of pieces, and its caller waits for all of them. */
const REST_MAX_MS = 100;

export type GiveWayOptions = {
  clock: Clock;
  /** How late this process is served just now, milliseconds. */
  lagMs: () => number;
};

export class GiveWay {
  readonly #options: GiveWayOptions;
  #othersAt = Number.NEGATIVE_INFINITY;
  #ratio = RATIO_START;
  #adjustedAt = 0;

  constructor(options: GiveWayOptions) {
    this.#options = options;
  }

  /** Work that cannot wait has come by: an event of an account without a backlog. */
  othersAreThere(): void {
    this.#othersAt = this.#options.clock.monotonic();
  }

  /** How long work that can wait should rest after `tookMs` of it, milliseconds. */
  restMs(tookMs: number): number {
    const now = this.#options.clock.monotonic();
    if (now - this.#othersAt > OTHERS_REMEMBERED_MS) {
      this.#ratio = RATIO_START;
      return 0;
    }
    if (now - this.#adjustedAt >= ADJUST_INTERVAL_MS) {
      this.#adjustedAt = now;
      const isLate = this.#options.lagMs() > LATE_MS;
      this.#ratio = isLate ? Math.min(this.#ratio * 1.5 + 0.25, RATIO_MAX) : Math.max(this.#ratio * 0.95 - 0.02, 0);
    }
    return Math.min(tookMs * this.#ratio, REST_MAX_MS);
  }
}
