// For how long the machine stood still at the most: nobody records or acks anything meanwhile.

import { systemClock, type Timer } from "../../src/lib/clock.ts";

const INTERVAL_MS = 100;

export class StandstillWatch {
  #timer: Timer;
  #lookedAt = systemClock.monotonic();
  #longestMs = 0;

  constructor() {
    this.#timer = systemClock.after(INTERVAL_MS, () => this.#look());
  }

  /** Milliseconds. */
  stop(): number {
    this.#timer.cancel();
    return this.#longestMs;
  }

  #look(): void {
    const now = systemClock.monotonic();
    this.#longestMs = Math.max(this.#longestMs, now - this.#lookedAt - INTERVAL_MS);
    this.#lookedAt = now;
    this.#timer = systemClock.after(INTERVAL_MS, () => this.#look());
  }
}
