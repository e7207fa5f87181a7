// The time that one attempt has in all.

import type { Clock, Timer } from "../lib/clock.ts";

/**
 * One of so many that have passed together ends in a turn of the event loop: to end a request that hangs, and to begin
 * the next, takes half a millisecond, and whoever else is served in between must not wait for hundreds. A part and not a
 * number, so that thousands do not outlive a lease by having to wait for thousands of turns.
 */
const ENDING_PART = 1 / 32;

/** Those of one sender. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #passed: Deadline[] = [];
  #isSoon = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(timeoutMs: number): Deadline {
    const deadline: Deadline = new Deadline(this.#clock, timeoutMs, () => {
      this.#passed.push(deadline);
      this.#endSoon();
    });
    return deadline;
  }

  #endSoon(): void {
    if (this.#isSoon || this.#passed.length === 0) return;
    this.#isSoon = true;
    this.#clock.soon(() => {
      this.#isSoon = false;
      const ending = this.#passed.splice(0, Math.ceil(this.#passed.length * ENDING_PART));
      for (const deadline of ending) deadline.pass();
      this.#endSoon();
    });
  }
}

export class Deadline {
  readonly timeoutMs: number;
  readonly #clock: Clock;
  readonly #endsAt: number;
  readonly #timer: Timer;
  #hasFired = false;
  #run: (() => void) | undefined;

  /** `onFired`: its time is over, and `pass` is to be called before long. */
  constructor(clock: Clock, timeoutMs: number, onFired: () => void) {
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#endsAt = clock.monotonic() + timeoutMs;
    this.#timer = clock.after(timeoutMs, () => {
      this.#hasFired = true;
      onFired();
    });
  }

  pass(): void {
    this.#run?.();
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
    this.#run = undefined;
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
