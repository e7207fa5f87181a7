// The time that one attempt has in all, as an abort signal. The same signal drops the connection when no more of an
// answer is wanted.

import type { Clock, Timer } from "../lib/clock.ts";

export class Deadline {
  readonly timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #timer: Timer;
  #passed = false;

  constructor(clock: Clock, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.#timer = clock.after(timeoutMs, () => {
      this.#passed = true;
      this.#controller.abort();
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time ran out, rather than that dropConnection() was called. */
  get hasPassed(): boolean {
    return this.#passed;
  }

  dropConnection(): void {
    this.#controller.abort();
  }

  /** The attempt is over: the timer will not fire any more. */
  end(): void {
    this.#timer.cancel();
  }

  /** `work`, or undefined when the time runs out first. */
  within<Result>(work: Promise<Result>): Promise<Result | undefined> {
    if (this.signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.signal.addEventListener("abort", () => resolve(undefined), { once: true });
      work.then(resolve, reject);
    });
  }
}
