// Gives the worker's slots to endpoint actors, in the order of the fair queue.

import type { Cell } from "../actor/cell.ts";
import type { Clock } from "../lib/clock.ts";
import { FairQueue } from "./fair-queue.ts";
import { type Pace, SLOW_AFTER_MS, Slots } from "./slots.ts";

export type DispatcherOptions<Key, Lane extends string> = {
  clock: Clock;
  /** Whose an actor is, by its key. */
  userOf: (key: Key) => string;
  weights: Readonly<Record<Lane, number>>;
  /** Requests in their first 250 ms, at once. */
  slots: number;
  /** False: nothing may start just now; poke() when that changes. */
  mayStart: () => boolean;
};

export class Dispatcher<Key, Lane extends string, Message> {
  readonly #options: DispatcherOptions<Key, Lane>;
  readonly #lanes: readonly Lane[];
  readonly #queue: FairQueue<Lane, Cell<Key, Lane, Message>>;
  readonly #slots: Slots;
  /** Actors whose next request must wait until others of their user, or other slow ones, have ended; by user. */
  readonly #waiting = new Map<string, Set<Cell<Key, Lane, Message>>>();
  #isPoked = false;

  constructor(options: DispatcherOptions<Key, Lane>) {
    this.#options = options;
    this.#lanes = Object.keys(options.weights) as Lane[];
    this.#queue = new FairQueue(options.weights, (actor) => options.userOf(actor.key));
    const { clock, slots } = options;
    this.#slots = new Slots({ clock, slots, onRoom: () => this.#placeIsFree() });
  }

  get inFlight(): number {
    return this.#slots.inFlight;
  }

  /** `actor` has messages and could handle one. */
  ready(actor: Cell<Key, Lane, Message>): void {
    const user = this.#options.userOf(actor.key);
    const waiting = this.#waiting.get(user);
    if (waiting?.has(actor) === true) {
      // A step of its own may have ended since, and shown that it is fast: then it waits behind nobody.
      if (!this.#slots.mayBegin(user, paceOf(actor.lastStepMs))) return;
      waiting.delete(actor);
      if (waiting.size === 0) this.#waiting.delete(user);
    }
    for (const lane of this.#lanes) if (actor.mailbox.has(lane)) this.#queue.add(lane, actor);
    this.poke();
  }

  /**
   * Starts whatever may start, at the end of this turn of the event loop: requests that start together cost the HTTP
   * client, and receivers, fewer wake-ups.
   */
  poke(): void {
    if (this.#isPoked) return;
    this.#isPoked = true;
    this.#options.clock.soon(() => {
      this.#isPoked = false;
      this.#start();
    });
  }

  #start(): void {
    while (!this.#slots.isFull && this.#options.mayStart()) {
      const turn = this.#queue.next();
      if (turn === undefined) break;
      this.#serve(turn.candidate, turn.lane);
    }
  }

  #serve(actor: Cell<Key, Lane, Message>, lane: Lane): void {
    const user = this.#options.userOf(actor.key);
    const pace = paceOf(actor.lastStepMs);
    if (!this.#slots.mayBegin(user, pace)) {
      this.#withdraw(actor);
      const waiting = this.#waiting.get(user);
      if (waiting === undefined) this.#waiting.set(user, new Set([actor]));
      else waiting.add(actor);
      return;
    }
    const step = actor.hasCapacity ? actor.step(lane) : undefined;
    if (!actor.hasCapacity || actor.mailbox.size === 0) this.#withdraw(actor);
    else if (!actor.mailbox.has(lane)) this.#queue.delete(lane, actor);
    if (step === undefined) return;
    const flight = this.#slots.begin(user, pace);
    const end = (): void => {
      this.#queue.charge(lane, user, this.#slots.end(flight));
      this.#placeIsFree();
    };
    step.then(end, end);
  }

  #placeIsFree(): void {
    if (this.#waiting.size > 0) this.#admitWaiting();
    this.poke();
  }

  /** Those who wait and may begin now ask for turns again. */
  #admitWaiting(): void {
    for (const [user, waiting] of this.#waiting) {
      for (const actor of waiting) {
        if (!this.#slots.mayBegin(user, paceOf(actor.lastStepMs))) break;
        waiting.delete(actor);
        if (actor.mailbox.size === 0 || !actor.hasCapacity) continue;
        this.ready(actor);
        if (this.#slots.isFull) break;
      }
      if (waiting.size === 0) this.#waiting.delete(user);
    }
  }

  #withdraw(actor: Cell<Key, Lane, Message>): void {
    for (const lane of this.#lanes) this.#queue.delete(lane, actor);
  }
}

function paceOf(lastStepMs: number | undefined): Pace {
  if (lastStepMs === undefined) return "unknown";
  return lastStepMs > SLOW_AFTER_MS ? "slow" : "fast";
}
