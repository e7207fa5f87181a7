// Gives the worker's slots to endpoint actors, in the order of the fair queue. A slot is one request under way.

import type { Cell } from "../actor/cell.ts";
import { FairQueue } from "./fair-queue.ts";

export type DispatcherOptions<Lane extends string> = {
  weights: Readonly<Record<Lane, number>>;
  /** Requests under way at once. */
  slots: number;
  /** False: nothing may start just now; poke() when that changes. */
  mayStart(): boolean;
};

type Contender<Actor> = { user: string; cell: Actor };

export class Dispatcher<Key, Lane extends string, Message> {
  readonly #options: DispatcherOptions<Lane>;
  readonly #queue: FairQueue<Lane, Contender<Cell<Key, Lane, Message>>>;
  readonly #contenders = new Map<Cell<Key, Lane, Message>, Contender<Cell<Key, Lane, Message>>>();
  #inFlight = 0;

  constructor(options: DispatcherOptions<Lane>) {
    this.#options = options;
    this.#queue = new FairQueue(options.weights);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** `cell`, of `user`, has messages and could handle one. */
  ready(cell: Cell<Key, Lane, Message>, user: string): void {
    let contender = this.#contenders.get(cell);
    if (contender === undefined) this.#contenders.set(cell, (contender = { user, cell }));
    for (const lane of cell.mailbox.lanes()) this.#queue.add(lane, contender);
    this.poke();
  }

  /** Starts whatever may start now. */
  poke(): void {
    while (this.#inFlight < this.#options.slots && this.#options.mayStart()) {
      const turn = this.#queue.next();
      if (turn === undefined) return;
      this.#serve(turn.candidate, turn.lane);
    }
  }

  #serve(contender: Contender<Cell<Key, Lane, Message>>, lane: Lane): void {
    const { cell } = contender;
    const step = cell.hasCapacity ? cell.step(lane) : undefined;
    this.#withdrawWhereDone(contender);
    if (step === undefined) return;
    this.#inFlight += 1;
    step.then(
      () => this.#end(),
      () => this.#end(),
    );
  }

  #end(): void {
    this.#inFlight -= 1;
    this.poke();
  }

  /** An actor without capacity, or without messages in a lane, asks for no turns; it says when it is ready again. */
  #withdrawWhereDone(contender: Contender<Cell<Key, Lane, Message>>): void {
    const { cell } = contender;
    for (const lane of Object.keys(this.#options.weights) as Lane[]) {
      if (!cell.hasCapacity || !cell.mailbox.has(lane)) this.#queue.delete(lane, contender);
    }
    if (!cell.hasCapacity || cell.mailbox.size === 0) this.#contenders.delete(cell);
  }
}
