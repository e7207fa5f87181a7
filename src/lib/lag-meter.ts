// How late this process is served: a short timer that fires late has waited for a processor, or for the work before it.

import type { Clock, Timer } from "./clock.ts";
import type { Service } from "./service.ts";

const SAMPLE_INTERVAL_MS = 20;
/** A second's worth. */
const SAMPLES = 50;

export class LagMeter implements Service {
  readonly name = "lag-meter";
  readonly #clock: Clock;
  readonly #samples: number[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): Promise<void> {
    const dueAt = this.#clock.monotonic() + SAMPLE_INTERVAL_MS;
    this.#timer = this.#clock.after(SAMPLE_INTERVAL_MS, () => {
      this.#samples.push(this.#clock.monotonic() - dueAt);
      if (this.#samples.length > SAMPLES) this.#samples.shift();
      void this.start().catch(() => {});
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  /** The lateness, in milliseconds, that nine of ten of the last second's timers stayed within. */
  get lagMs(): number {
    return this.#samples.toSorted((a, b) => a - b)[Math.floor(this.#samples.length * 0.9)] ?? 0;
  }
}
