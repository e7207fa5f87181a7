// Where requests under way are counted. A slot is held for a request's first 250 ms only. An older request counts in the
// slow pool, and so does, from its start, every request of an endpoint that is known to be slow: so slow receivers, and
// those that never answer, take no slot from fast ones. Of endpoints that were fast and begin to hang only their own user
// notices: it has a bound of such requests, and they take no place of other users' slow ones.

import type { Clock } from "../lib/clock.ts";

/** From here on a request is slow, milliseconds. */
export const SLOW_AFTER_MS = 250;

/** Slow requests of one worker: an idle connection and a few KiB each. */
export const SLOW_REQUESTS_MAX = 4_096;

/** And of one user in it; of its endpoints that turn out slow, again as many. */
export const SLOW_REQUESTS_PER_USER_MAX = SLOW_REQUESTS_MAX / 4;

/** The share of the slots that one user's requests to endpoints of unknown pace may hold: they may all turn out slow. */
const UNKNOWN_SHARE = 1 / 4;

/** How often requests are looked at for having become slow. */
const LOOK_INTERVAL_MS = 25;

/** How the last request of an endpoint went. */
export type Pace = "fast" | "slow" | "unknown";

export type Flight = { readonly user: string; readonly pace: Pace; readonly startedAt: number; isSlow: boolean };

export type SlotsOptions = {
  clock: Clock;
  slots: number;
  /** A request has become slow and left its slot. */
  onRoom: () => void;
};

export class Slots {
  readonly #options: SlotsOptions;
  /** In the order of their starts. */
  readonly #fast = new Set<Flight>();
  readonly #slowByUser = new Map<string, number>();
  /** Of the slow ones those that have outlived their slot, and were not known to be slow when they began. */
  readonly #outlivedByUser = new Map<string, number>();
  #outlived = 0;
  readonly #unknownByUser = new Map<string, number>();
  #slow = 0;
  #isWatching = false;

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#fast.size + this.#slow;
  }

  get slow(): number {
    return this.#slow;
  }

  /** Nothing may start just now; `onRoom`, or the end of a request, says when that has changed. */
  get isFull(): boolean {
    return this.#fast.size >= this.#options.slots;
  }

  /**
   * How many more requests to endpoints of this pace may begin where slots are free. A user whose slow requests are at
   * their bound starts none at endpoints of which nothing is known either.
   */
  roomFor(user: string, pace: Pace): number {
    if (pace === "fast") return SLOW_REQUESTS_PER_USER_MAX - (this.#outlivedByUser.get(user) ?? 0);
    const ofUser = SLOW_REQUESTS_PER_USER_MAX - (this.#slowByUser.get(user) ?? 0);
    if (pace === "slow") return Math.min(ofUser, SLOW_REQUESTS_MAX - (this.#slow - this.#outlived));
    const ofUnknown = Math.max(1, this.#options.slots * UNKNOWN_SHARE) - (this.#unknownByUser.get(user) ?? 0);
    return Math.min(ofUser, ofUnknown);
  }

  begin(user: string, pace: Pace): Flight {
    const flight = { user, pace, startedAt: this.#options.clock.monotonic(), isSlow: pace === "slow" };
    if (flight.isSlow) this.#countSlow(user, 1);
    else {
      this.#fast.add(flight);
      if (pace === "unknown") count(this.#unknownByUser, user, 1);
      this.#watch();
    }
    return flight;
  }

  /** Says how long the request has held a slot, milliseconds. */
  end(flight: Flight): number {
    if (flight.isSlow) {
      this.#countSlow(flight.user, -1);
      if (flight.pace === "slow") return 0;
      this.#countOutlived(flight.user, -1);
      return SLOW_AFTER_MS;
    }
    this.#leaveSlot(flight);
    return this.#options.clock.monotonic() - flight.startedAt;
  }

  #leaveSlot(flight: Flight): void {
    this.#fast.delete(flight);
    if (flight.pace === "unknown") count(this.#unknownByUser, flight.user, -1);
  }

  #countSlow(user: string, by: number): void {
    this.#slow += by;
    count(this.#slowByUser, user, by);
  }

  #countOutlived(user: string, by: number): void {
    this.#outlived += by;
    count(this.#outlivedByUser, user, by);
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    this.#options.clock.after(LOOK_INTERVAL_MS, () => {
      this.#isWatching = false;
      this.#moveSlow();
      if (this.#fast.size > 0) this.#watch();
    });
  }

  #moveSlow(): void {
    const before = this.#options.clock.monotonic() - SLOW_AFTER_MS;
    for (const flight of this.#fast) {
      if (flight.startedAt > before) return;
      this.#leaveSlot(flight);
      flight.isSlow = true;
      this.#countSlow(flight.user, 1);
      this.#countOutlived(flight.user, 1);
      this.#options.onRoom();
    }
  }
}

function count(by: Map<string, number>, user: string, change: number): void {
  const counted = (by.get(user) ?? 0) + change;
  if (counted === 0) by.delete(user);
  else by.set(user, counted);
}
