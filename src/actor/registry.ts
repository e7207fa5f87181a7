// The actors that are in memory: made when first told something, passivated when they have been idle for a while.

import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Cell } from "./cell.ts";

export type RegistryOptions = {
  clock: Clock;
  /** An actor without work for this long is dropped from memory, milliseconds. */
  idleMs: number;
};

export class Registry<Id, Key, Lane extends string, Message> implements Service {
  readonly name = "actors";
  readonly #options: RegistryOptions;
  readonly #cells = new Map<Id, Cell<Key, Lane, Message>>();
  #timer: Timer | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#cells.size;
  }

  start(): Promise<void> {
    this.#schedulePassivation();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  /** The actor of `id`, made if there is none. */
  ensure(id: Id, create: () => Cell<Key, Lane, Message>): Cell<Key, Lane, Message> {
    let cell = this.#cells.get(id);
    if (cell === undefined) this.#cells.set(id, (cell = create()));
    return cell;
  }

  find(id: Id): Cell<Key, Lane, Message> | undefined {
    return this.#cells.get(id);
  }

  cells(): IterableIterator<Cell<Key, Lane, Message>> {
    return this.#cells.values();
  }

  passivate(): void {
    const before = this.#options.clock.monotonic() - this.#options.idleMs;
    for (const [id, cell] of this.#cells) if (cell.isIdleSince(before)) this.#cells.delete(id);
  }

  #schedulePassivation(): void {
    this.#timer = this.#options.clock.after(this.#options.idleMs, () => {
      this.passivate();
      this.#schedulePassivation();
    });
  }
}
