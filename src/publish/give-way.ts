// Work that can wait (the refill of a backlog, one account's burst of events) gives way to everybody else's while the
// machine is short of processor time: after every piece of it it rests, the longer the later this process is served.
// While nobody else is there it never rests: alone, a backlog has the whole machine.

import type { UserId } from "../domain/ids.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";

/** Others count as there for so long after the last of their work. */
const OTHERS_REMEMBERED_MS = 1_000;
/**
 * A process that is served later than this shares its processor with too much; a quiet one is served in half of it. Where
 * even the calmest second of the last minute was as late as that, by somebody else's doing, resting more would not help:
 * so much later than it still counts as in time. (With more, a burst would raise what it is measured by.)
 */
const LATE_MS = 0.6;
const CALMEST_FACTOR = 1.15;
/** Rest for each millisecond of work: when others appear, and its bounds. */
const RATIO_START = 3;
const RATIO_MIN = 0.05;
const RATIO_MAX = 8;
/**
 * The ratio follows the lag slowly: served twice as late as it should be, it doubles in a second, which is how long the lag
 * takes to show what that did. Faster, it swings from none to the most and back, and others are late half of the time.
 */
const ADJUST_INTERVAL_MS = 100;
const ADJUST_EXPONENT = 0.1;
const ADJUST_MIN = 0.5;
const ADJUST_MAX = 3;
/**
 * A batch of a thousand subscribers is 250 pieces, of a wide account 1,000, and its caller waits for all of them: with this
 * half a minute, or nearly two, at the most.
 */
const REST_MAX_MS = 100;

/**
 * What an account reads (its lists, a search of all its subscribers) takes processor time from everybody's events: while
 * others have some, it rests three times as long as it took. Within bounds, for its caller has a deadline.
 */
const READ_RATIO = 3;
const READ_REST_MAX_MS = 1_500;

export type GiveWayOptions = {
  clock: Clock;
  /** How late this process is served just now, milliseconds. */
  lagMs: () => number;
  /** And in the calmest second of the last minute. */
  calmestLagMs: () => number;
};

/** An account has a burst for so long after the last sign of it. */
const BURST_REMEMBERED_MS = 2_000;
const BURSTS_MAX = 10_000;

type Visit = { userId: UserId; at: number };

export class GiveWay {
  readonly #options: GiveWayOptions;
  /** The last account whose work came by, and the last one before that was another: nobody is another to itself. */
  #last: Visit | undefined;
  #lastOther: Visit | undefined;
  readonly #bursting: TtlCache<UserId, true>;
  #ratio = RATIO_START;
  #adjustedAt = Number.NEGATIVE_INFINITY;

  constructor(options: GiveWayOptions) {
    this.#options = options;
    this.#bursting = new TtlCache({ clock: options.clock, ttlMs: BURST_REMEMBERED_MS, entriesMax: BURSTS_MAX });
  }

  /** Work that cannot wait has come by: an event of an account without a backlog. */
  cameBy(userId: UserId): void {
    if (this.isBursting(userId)) return;
    if (this.#last?.userId !== userId) this.#lastOther = this.#last;
    this.#last = { userId, at: this.#options.clock.monotonic() };
  }

  /** This account has a burst: what came by of it was the beginning, and for a while it is no other to anybody. */
  noteBurst(userId: UserId): void {
    this.#bursting.set(userId, true);
    if (this.#last?.userId === userId) {
      this.#last = this.#lastOther;
      this.#lastOther = undefined;
    } else if (this.#lastOther?.userId === userId) this.#lastOther = undefined;
  }

  isBursting(userId: UserId): boolean {
    return this.#bursting.get(userId) === true;
  }

  /** Whether work that can wait (of this account, if it is one account's) should come in small pieces, and rest. */
  isNeeded(userId?: UserId): boolean {
    const other = userId !== undefined && this.#last?.userId === userId ? this.#lastOther : this.#last;
    return other !== undefined && this.#options.clock.monotonic() - other.at <= OTHERS_REMEMBERED_MS;
  }

  /** How long work that can wait should rest after `tookMs` of it, whole milliseconds. */
  restMs(tookMs: number, userId?: UserId): number {
    if (!this.isNeeded(userId)) return 0;
    const now = this.#options.clock.monotonic();
    if (now - this.#adjustedAt > OTHERS_REMEMBERED_MS) this.#ratio = RATIO_START;
    if (now - this.#adjustedAt >= ADJUST_INTERVAL_MS) {
      this.#adjustedAt = now;
      const lateMs = Math.max(LATE_MS, this.#options.calmestLagMs() * CALMEST_FACTOR);
      const lateness = Math.min(Math.max(this.#options.lagMs() / lateMs, ADJUST_MIN), ADJUST_MAX);
      this.#ratio = Math.min(Math.max(this.#ratio * lateness ** ADJUST_EXPONENT, RATIO_MIN), RATIO_MAX);
    }
    return Math.floor(Math.min(tookMs * this.#ratio, REST_MAX_MS));
  }

  /** How long an account's place to read in rests after `tookMs` of reading, whole milliseconds. */
  readRestMs(tookMs: number, userId: UserId): number {
    return this.isNeeded(userId) ? Math.floor(Math.min(tookMs * READ_RATIO, READ_REST_MAX_MS)) : 0;
  }
}
