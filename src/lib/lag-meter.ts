// How late this process is served: a short timer that fires late has waited for a processor, or for the work before it.

import type { Clock } from "./clock.ts";
import type { Service } from "./service.ts";
import { Timers } from "./timers.ts";

const SAMPLE_INTERVAL_MS = 20;
/** A second's worth. */
const SAMPLES = 50;
const SECONDS_REMEMBERED = 60;

export class LagMeter implements Service {
  readonly name = "lag-meter";
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** The last second's, and how late each of the last minute's seconds was. */
  readonly #samples: number[] = [];
  readonly #seconds: number[] = [];
  #taken = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#timers = new Timers(clock);
  }

  start(): Promise<void> {
    this.#sampleAgain();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timers.cancelAll();
    return Promise.resolve();
  }

  /** The lateness, in milliseconds, that nine of ten of the last second's timers stayed within. */
  get lagMs(): number {
    return this.#samples.toSorted((a, b) => a - b)[Math.floor(this.#samples.length * 0.9)] ?? 0;
  }

  /** The same of the calmest second of the last minute: what this machine cannot do better just now. */
  get calmestMs(): number {
    return this.#seconds.length === 0 ? 0 : Math.min(...this.#seconds);
  }

  #sampleAgain(): void {
    const dueAt = this.#clock.monotonic() + SAMPLE_INTERVAL_MS;
    this.#timers.after(SAMPLE_INTERVAL_MS, () => {
      this.#samples.push(this.#clock.monotonic() - dueAt);
      if (this.#samples.length > SAMPLES) this.#samples.shift();
      this.#taken += 1;
      if (this.#taken % SAMPLES === 0) this.#seconds.push(this.lagMs);
      if (this.#seconds.length > SECONDS_REMEMBERED) this.#seconds.shift();
      this.#sampleAgain();
    });
  }
}
