// The true time of a simulation, which no process knows, and its chance. Everything that happens is an event of the
// world; between two of them all promises come to rest.

import type { Timer } from "../../../src/lib/clock.ts";

type Event = { at: number; order: number; run: () => void; isCancelled: boolean };

/** More turns of the microtask queue than any chain of promises in the code under test is long. */
const MICROTASK_TURNS = 24;

export class World {
  readonly random: () => number;
  #now = 0;
  #order = 0;
  #observer: { stepMs: number; nextAt: number; look: () => void } | undefined;
  /** Latest first. */
  readonly #events: Event[] = [];

  constructor(seed: number) {
    this.random = mulberry32(seed);
  }

  /** Milliseconds of true time. */
  get now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Timer {
    const event: Event = { at: this.#now + Math.max(0, delayMs), order: (this.#order += 1), run, isCancelled: false };
    let [low, high] = [0, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#events[middle] as Event;
      if (other.at > event.at || (other.at === event.at && other.order > event.order)) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
    return {
      cancel() {
        event.isCancelled = true;
      },
    };
  }

  /** Calls `look` at every `stepMs`; it changes nothing. */
  observe(stepMs: number, look: () => void): void {
    this.#observer = { stepMs, nextAt: this.#now, look };
  }

  async runUntil(end: number): Promise<void> {
    for (let next = this.#events.at(-1); next !== undefined && next.at <= end; next = this.#events.at(-1)) {
      this.#events.pop();
      if (next.isCancelled) continue;
      this.#lookUntil(next.at);
      this.#now = next.at;
      next.run();
      for (let turn = 0; turn < MICROTASK_TURNS; turn += 1) await Promise.resolve();
    }
    this.#lookUntil(end);
    this.#now = end;
  }

  #lookUntil(end: number): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    for (; observer.nextAt < end; observer.nextAt += observer.stepMs) {
      this.#now = observer.nextAt;
      observer.look();
    }
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  happens(probability: number): boolean {
    return this.random() < probability;
  }

  oneOf<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)];
  }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
