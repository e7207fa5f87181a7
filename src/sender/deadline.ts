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
  readonly #lines = new Map<number, Line>();
  readonly #passed: Deadline[] = [];
  #isSoon = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(timeoutMs: number): Deadline {
    let line = this.#lines.get(timeoutMs);
    if (line === undefined) {
      line = new Line(this.#clock, (deadline) => {
        this.#passed.push(deadline);
        this.#endSoon();
      });
      this.#lines.set(timeoutMs, line);
    }
    return new Deadline(this.#clock, timeoutMs, line);
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

/** Deadlines of one length pass in the order in which they began: one timer is enough for all of them. */
class Line {
  readonly #clock: Clock;
  readonly #onPassed: (deadline: Deadline) => void;
  readonly #begun = new Set<Deadline>();
  #timer: Timer | undefined;

  constructor(clock: Clock, onPassed: (deadline: Deadline) => void) {
    this.#clock = clock;
    this.#onPassed = onPassed;
  }

  add(deadline: Deadline): void {
    this.#begun.add(deadline);
    if (this.#timer === undefined) this.#await(deadline);
  }

  delete(deadline: Deadline): void {
    this.#begun.delete(deadline);
    if (this.#begun.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #await(next: Deadline): void {
    this.#timer = this.#clock.after(next.leftMs, () => {
      this.#timer = undefined;
      this.#pass();
    });
  }

  #pass(): void {
    for (const deadline of this.#begun) {
      if (!deadline.hasPassed) return this.#await(deadline);
      this.#begun.delete(deadline);
      this.#onPassed(deadline);
    }
  }
}

export class Deadline {
  readonly timeoutMs: number;
  /** By the monotonic clock. */
  readonly startedAt: number;
  readonly #clock: Clock;
  readonly #line: Line;
  #run: (() => void) | undefined;

  constructor(clock: Clock, timeoutMs: number, line: Line) {
    this.timeoutMs = timeoutMs;
    this.startedAt = clock.monotonic();
    this.#clock = clock;
    this.#line = line;
    line.add(this);
  }

  get leftMs(): number {
    return Math.max(0, this.startedAt + this.timeoutMs - this.#clock.monotonic());
  }

  /** By the clock, not by a timer: a process that was frozen sees what has arrived before it sees its timers. */
  get hasPassed(): boolean {
    return this.leftMs === 0;
  }

  pass(): void {
    this.#run?.();
  }

  /** What is to happen when the time runs out, in place of what was said before. */
  whenPassed(run: () => void): void {
    this.#run = run;
  }

  /** The attempt is over: nothing will happen any more. */
  end(): void {
    this.#run = undefined;
    this.#line.delete(this);
  }

  /** `work`, or undefined when the time runs out first. */
  within<Result>(work: Promise<Result>): Promise<Result | undefined> {
    return new Promise((resolve, reject) => {
      this.whenPassed(() => resolve(undefined));
      work.then(resolve, reject);
    });
  }
}
