// The time that one attempt has in all.

import type { Clock, Timer } from "../lib/clock.ts";

export class Deadline {
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #endsAt: number;
  readonly #timer: Timer;
  #hasFired = false;
  #run: (() => void) | undefined;

  constructor(clock: Clock, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#endsAt = clock.monotonic() + timeoutMs;
    this.#timer = clock.after(timeoutMs, () => {
      this.#hasFired = true;
      this.#run?.();
    });
  }

  /** By the clock too: a process that was frozen sees what has arrived before it sees its timers. */
  get hasPassed(): boolean {
    return this.#hasFired || this.#clock.monotonic() >= this.#endsAt;
  }

  /** What is to happen when the time runs out, in place of what was said before. */
  whenPassed(run: () => void): void {
    this.#run = run;
  }

  /** The attempt is over: nothing will happen any more. */
  end(): void {
    this.#timer.cancel();
  }

  /** `work`, or undefined when the time runs out first. */
  within<Result>(work: Promise<Result>): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
      this.whenPassed(() => resolve(undefined));
      work.then(resolve, reject);
    });
  }
}
