// One actor: a mailbox, a behaviour, and at most `concurrency` messages in its hands.
//
//   idle ──tell──► ready ──step──► busy (in flight = concurrency) ──end of a step──► ready or idle
//                                    │
//                                    └─ the behaviour throws ─► paused ──backoff──► ready, with a new behaviour
//
// A cell runs nothing by itself: whoever schedules it calls step() when it is ready. `onCrash` hears of a crash
// together with the message that was in its hands; the other messages stay in the mailbox.

import type { Clock } from "../lib/clock.ts";
import { Mailbox } from "./mailbox.ts";

/** What an actor does with one message. A rejection is a crash: expected failures are handled inside. */
export type Behaviour<Message> = {
  /** Messages handled at once; asked before each step. */
  concurrency(): number;
  handle(message: Message): Promise<void>;
};

export type CellOptions<Key, Lane extends string, Message> = {
  key: Key;
  clock: Clock;
  create(): Behaviour<Message>;
  /** The cell has become ready, or may have. */
  onReady(cell: Cell<Key, Lane, Message>): void;
  onCrash(key: Key, message: Message, error: unknown): void;
};

const CRASH_PAUSE_MIN_MS = 100;
const CRASH_PAUSE_MAX_MS = 30_000;

export class Cell<Key, Lane extends string, Message> {
  readonly key: Key;
  readonly mailbox = new Mailbox<Lane, Message>();
  readonly #options: CellOptions<Key, Lane, Message>;
  #behaviour: Behaviour<Message>;
  #inFlight = 0;
  #crashes = 0;
  #isPaused = false;
  #lastActiveAt: number;
  #lastStepMs: number | undefined;
  /** When a step last ended, or began while no other was under way. */
  #movedAt = 0;

  constructor(options: CellOptions<Key, Lane, Message>) {
    this.key = options.key;
    this.#options = options;
    this.#behaviour = options.create();
    this.#lastActiveAt = options.clock.monotonic();
  }

  /** How long the last finished step took, milliseconds; undefined before the first. */
  get lastStepMs(): number | undefined {
    return this.#lastStepMs;
  }

  /** For how long steps have been under way without one of them ending, milliseconds. */
  get stalledMs(): number {
    return this.#inFlight === 0 ? 0 : this.#options.clock.monotonic() - this.#movedAt;
  }

  /** Could handle one more message now, if it has one. */
  get hasCapacity(): boolean {
    return !this.#isPaused && this.#inFlight < this.#behaviour.concurrency();
  }

  /** Nothing waits, nothing is in its hands, and nothing has happened since `before` (monotonic milliseconds). */
  isIdleSince(before: number): boolean {
    return this.mailbox.size === 0 && this.#inFlight === 0 && !this.#isPaused && this.#lastActiveAt <= before;
  }

  tell(lane: Lane, message: Message): void {
    this.#lastActiveAt = this.#options.clock.monotonic();
    this.mailbox.push(lane, message);
    this.lookAgain();
  }

  /** Says that it is ready if it is: its behaviour may have more capacity than when that was last asked. */
  lookAgain(): void {
    if (this.mailbox.size > 0 && this.hasCapacity) this.#options.onReady(this);
  }

  /** Takes the oldest message of `lane` and handles it. Never rejects; undefined when there was none. */
  step(lane: Lane): Promise<void> | undefined {
    const message = this.mailbox.shift(lane);
    if (message === undefined) return undefined;
    return this.#handle(message);
  }

  async #handle(message: Message): Promise<void> {
    const startedAt = this.#options.clock.monotonic();
    if (this.#inFlight === 0) this.#movedAt = startedAt;
    this.#inFlight += 1;
    try {
      await this.#behaviour.handle(message);
      this.#crashes = 0;
    } catch (error) {
      this.#pause();
      this.#options.onCrash(this.key, message, error);
    } finally {
      this.#inFlight -= 1;
      this.#lastActiveAt = this.#options.clock.monotonic();
      this.#movedAt = this.#lastActiveAt;
      this.#lastStepMs = this.#lastActiveAt - startedAt;
      this.lookAgain();
    }
  }

  #pause(): void {
    const pauseMs = Math.min(CRASH_PAUSE_MIN_MS * 2 ** this.#crashes, CRASH_PAUSE_MAX_MS);
    this.#crashes += 1;
    this.#isPaused = true;
    this.#options.clock.after(pauseMs, () => {
      this.#behaviour = this.#options.create();
      this.#isPaused = false;
      this.lookAgain();
    });
  }
}
