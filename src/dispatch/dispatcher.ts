// Gives the worker's slots to endpoint actors, in the order of the fair queue.

import type { Cell } from "../actor/cell.ts";
import type { Clock } from "../lib/clock.ts";
import { FairQueue } from "./fair-queue.ts";
import { type Pace, SLOW_AFTER_MS, Slots } from "./slots.ts";

export type DispatcherOptions<Lane extends string> = {
  clock: Clock;
  weights: Readonly<Record<Lane, number>>;
  /** Requests in their first 250 ms, at once. */
  slots: number;
  /** False: nothing may start just now; poke() when that changes. */
  mayStart: () => boolean;
};

/** An actor that wants turns. */
type Contender<Actor> = { readonly user: string; readonly actor: Actor };

export class Dispatcher<Key, Lane extends string, Message> {
  readonly #options: DispatcherOptions<Lane>;
  readonly #lanes: readonly Lane[];
  readonly #queue: FairQueue<Lane, Contender<Cell<Key, Lane, Message>>>;
  readonly #slots: Slots;
  readonly #contenders = new Map<Cell<Key, Lane, Message>, Contender<Cell<Key, Lane, Message>>>();
  /** Actors whose next request must wait until others of their user, or other slow ones, have ended; by user. */
  readonly #waiting = new Map<string, Set<Cell<Key, Lane, Message>>>();
  #isPoking = false;

  constructor(options: DispatcherOptions<Lane>) {
    this.#options = options;
    this.#lanes = Object.keys(options.weights) as Lane[];
    this.#queue = new FairQueue(options.weights);
    const { clock, slots } = options;
    this.#slots = new Slots({ clock, slots, onRoom: () => this.#placeIsFree() });
  }

  get inFlight(): number {
    return this.#slots.inFlight;
  }

  /** `actor`, of `user`, has messages and could handle one. */
  ready(actor: Cell<Key, Lane, Message>, user: string): void {
    const waiting = this.#waiting.get(user);
    if (waiting?.has(actor) === true) {
      // A step of its own may have ended since, and shown that it is fast: then it waits behind nobody.
      if (!this.#slots.mayBegin(user, paceOf(actor.lastStepMs))) return;
      waiting.delete(actor);
      if (waiting.size === 0) this.#waiting.delete(user);
    }
    let contender = this.#contenders.get(actor);
    if (contender === undefined) this.#contenders.set(actor, (contender = { user, actor }));
    for (const lane of this.#lanes) if (actor.mailbox.has(lane)) this.#queue.add(lane, contender);
    this.poke();
  }

  /** Starts whatever may start now. */
  poke(): void {
    // Starting may end at once, and ending pokes: one loop is enough.
    if (this.#isPoking) return;
    this.#isPoking = true;
    while (!this.#slots.isFull && this.#options.mayStart()) {
      const turn = this.#queue.next();
      if (turn === undefined) break;
      this.#serve(turn.candidate, turn.lane);
    }
    this.#isPoking = false;
  }

  #serve(contender: Contender<Cell<Key, Lane, Message>>, lane: Lane): void {
    const { actor, user } = contender;
    const pace = paceOf(actor.lastStepMs);
    if (!this.#slots.mayBegin(user, pace)) {
      this.#withdraw(contender);
      const waiting = this.#waiting.get(user);
      if (waiting === undefined) this.#waiting.set(user, new Set([actor]));
      else waiting.add(actor);
      return;
    }
    const step = actor.hasCapacity ? actor.step(lane) : undefined;
    if (!actor.hasCapacity || actor.mailbox.size === 0) this.#withdraw(contender);
    else if (!actor.mailbox.has(lane)) this.#queue.delete(lane, contender);
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
        this.ready(actor, user);
        if (this.#slots.isFull) break;
      }
      if (waiting.size === 0) this.#waiting.delete(user);
    }
  }

  #withdraw(contender: Contender<Cell<Key, Lane, Message>>): void {
    for (const lane of this.#lanes) this.#queue.delete(lane, contender);
    this.#contenders.delete(contender.actor);
  }
}

function paceOf(lastStepMs: number | undefined): Pace {
  if (lastStepMs === undefined) return "unknown";
  return lastStepMs > SLOW_AFTER_MS ? "slow" : "fast";
}
