// Gives the worker's slots to endpoint actors, in the order of the fair queue.

import type { Cell } from "../actor/cell.ts";
import type { Clock } from "../lib/clock.ts";
import { FairQueue } from "./fair-queue.ts";
import { type Pace, SLOW_AFTER_MS, Slots } from "./slots.ts";

/**
 * Requests that begin in one turn of the event loop. The next ones begin in the next turn, when answers that have come
 * meanwhile have been read: so receivers work while we do, and nobody waits for hundreds of others to be written. One to
 * an endpoint that is not known to be fast ends its turn: it takes a new connection, and hundreds that begin together and
 * hang run out of time together, which is half a millisecond each.
 */
const STARTS_PER_TURN_MAX = 64;

export type DispatcherOptions<Key, Lane extends string> = {
  clock: Clock;
  /** Whose an actor is, by its key. */
  userOf: (key: Key) => string;
  weights: Readonly<Record<Lane, number>>;
  /** Requests in their first 250 ms, at once. */
  slots: number;
  /** False: nothing may start just now; poke() when that changes. */
  mayStart: () => boolean;
  /** Whether there is memory for one more request of this user; asked again when a request has ended. */
  hasMemory: (user: string, isFast: boolean) => boolean;
};

export class Dispatcher<Key, Lane extends string, Message> {
  readonly #options: DispatcherOptions<Key, Lane>;
  readonly #lanes: readonly Lane[];
  readonly #queue: FairQueue<Lane, Cell<Key, Lane, Message>>;
  readonly #slots: Slots;
  /**
   * Actors whose next request must wait until others of their user, or other slow ones, have ended; by user. Fast ones
   * wait for memory, or for others that began to hang, and stand apart so that they wait behind no slow one.
   */
  readonly #waitingFast = new Map<string, Set<Cell<Key, Lane, Message>>>();
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
    for (const waitingByUser of [this.#waitingFast, this.#waiting]) {
      const waiting = waitingByUser.get(user);
      if (waiting?.has(actor) !== true) continue;
      // A step of its own may have ended since, and shown that it is fast: then it waits behind nobody.
      if (!this.#mayBegin(user, paceOf(actor.lastStepMs))) return;
      waiting.delete(actor);
      if (waiting.size === 0) waitingByUser.delete(user);
    }
    for (const lane of this.#lanes) if (actor.mailbox.has(lane)) this.#queue.add(lane, actor);
    this.poke();
  }

  /** Starts whatever may start, at the end of this turn of the event loop. */
  poke(): void {
    if (this.#isPoked) return;
    this.#isPoked = true;
    this.#options.clock.soon(() => {
      this.#isPoked = false;
      this.#start();
    });
  }

  #start(): void {
    for (let turns = 0; turns < STARTS_PER_TURN_MAX; turns += 1) {
      if (this.#slots.isFull || !this.#options.mayStart()) return;
      const turn = this.#queue.next();
      if (turn === undefined) return;
      const begun = this.#serve(turn.candidate, turn.lane);
      if (begun !== undefined && begun !== "fast") break;
    }
    this.poke();
  }

  /** Of which pace the request is that has begun; undefined: none has. */
  #serve(actor: Cell<Key, Lane, Message>, lane: Lane): Pace | undefined {
    const user = this.#options.userOf(actor.key);
    const pace = paceOf(actor.lastStepMs);
    if (!this.#mayBegin(user, pace)) {
      this.#withdraw(actor);
      this.#wait(user, actor, pace);
      return undefined;
    }
    const step = actor.hasCapacity ? actor.step(lane) : undefined;
    if (!actor.hasCapacity || actor.mailbox.size === 0) this.#withdraw(actor);
    else if (!actor.mailbox.has(lane)) this.#queue.delete(lane, actor);
    if (step === undefined) return undefined;
    const flight = this.#slots.begin(user, pace);
    const end = (): void => {
      this.#queue.charge(lane, user, this.#slots.end(flight));
      this.#placeIsFree();
    };
    step.then(end, end);
    return pace;
  }

  #wait(user: string, actor: Cell<Key, Lane, Message>, pace: Pace): void {
    const waitingByUser = pace === "fast" ? this.#waitingFast : this.#waiting;
    const waiting = waitingByUser.get(user);
    if (waiting === undefined) waitingByUser.set(user, new Set([actor]));
    else waiting.add(actor);
  }

  #placeIsFree(): void {
    for (const waitingByUser of [this.#waitingFast, this.#waiting]) {
      if (waitingByUser.size > 0) this.#admit(waitingByUser);
    }
    this.poke();
  }

  /** Those who wait and may begin now ask for turns again: of each user no more than it has room for. */
  #admit(waitingByUser: Map<string, Set<Cell<Key, Lane, Message>>>): void {
    for (const [user, waiting] of waitingByUser) {
      const admitted = { fast: 0, slow: 0, unknown: 0 };
      for (const actor of waiting) {
        const pace = paceOf(actor.lastStepMs);
        if (!this.#mayBegin(user, pace, admitted[pace])) {
          if (waitingByUser !== this.#waitingFast || pace === "fast") break;
          // It has turned out slow while it waited.
          waiting.delete(actor);
          this.#wait(user, actor, pace);
          continue;
        }
        waiting.delete(actor);
        if (actor.mailbox.size === 0 || !actor.hasCapacity) continue;
        admitted[pace] += 1;
        this.ready(actor);
        if (this.#slots.isFull) break;
      }
      if (waiting.size === 0) waitingByUser.delete(user);
    }
  }

  /** `others`: so many more may begin before it. */
  #mayBegin(user: string, pace: Pace, others = 0): boolean {
    return this.#slots.roomFor(user, pace) > others && this.#options.hasMemory(user, pace === "fast");
  }

  #withdraw(actor: Cell<Key, Lane, Message>): void {
    for (const lane of this.#lanes) this.#queue.delete(lane, actor);
  }
}

function paceOf(lastStepMs: number | undefined): Pace {
  if (lastStepMs === undefined) return "unknown";
  return lastStepMs > SLOW_AFTER_MS ? "slow" : "fast";
}
