// What goes on being true is said at once, and then once in a while.

import type { Clock } from "./clock.ts";

export class Reminder {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  #said: { what: string; at: number } | undefined;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Whether `what` is to be said now: it is something else than the last time, or that was an interval ago. */
  isDue(what: string): boolean {
    const now = this.#clock.monotonic();
    if (this.#said?.what === what && now - this.#said.at < this.#intervalMs) return false;
    this.#said = { what, at: now };
    return true;
  }

  /** It is over: if it comes again, that is something new. */
  forget(): void {
    this.#said = undefined;
  }
}
