// Groups items that arrive close together into one call: the first starts a short wait, a full batch ends it early.
// Never more than `inFlightMax` calls run at once, so a slow sink makes larger batches instead of more calls.

import { type Clock, sleep, type Timer } from "./clock.ts";
import { Turns } from "./turns.ts";

export type BatcherOptions<Item, Result> = {
  clock: Clock;
  /** Items of one call at the most; asked before each call. */
  sizeMax: () => number;
  /** How long the first item of a batch waits for company, milliseconds. */
  lingerMs: number;
  /** True: while no call is under way it waits until the end of this turn of the event loop only. */
  isPrompt?: boolean;
  inFlightMax: number;
  /** Items that may wait for a call; with one more, one is refused with BatcherFullError. */
  waitingMax: number;
  /** Whose item it is: then all take turns, and what is too much is refused to whoever has most. */
  ownerOf?: (item: Item) => unknown;
  /** How long to rest after a call that took `tookMs`, milliseconds; never, unless it is given. */
  restMs?: (tookMs: number) => number;
  /** Resolves with one result per item, in the items' order. A rejection rejects every item of the batch. */
  run(items: Item[]): Promise<readonly Result[]>;
};

export class BatcherFullError extends Error {
  constructor() {
    super("too many items are waiting for a batch");
  }
}

type Waiting<Item, Result> = { item: Item; resolve(result: Result): void; reject(error: unknown): void };

export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  readonly #waiting = new Turns<unknown, Waiting<Item, Result>>();
  #inFlight = 0;
  #inFlightItems = 0;
  #isSoon = false;
  #timer: Timer | undefined;
  #idle: (() => void)[] = [];

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
  }

  /** Items not yet answered: waiting and in flight. */
  get size(): number {
    return this.#waiting.size + this.#inFlightItems;
  }

  add(item: Item): Promise<Result> {
    const { waitingMax, ownerOf } = this.#options;
    const owner = ownerOf?.(item);
    if (this.#waiting.size >= waitingMax) {
      const dropped = this.#waiting.dropInFavourOf(owner);
      if (dropped === undefined) return Promise.reject(new BatcherFullError());
      dropped.reject(new BatcherFullError());
    }
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push(owner, { item, resolve, reject });
      this.#pump();
    });
  }

  /** Fails all that wait for a call; those under way go on. */
  refuseWaiting(error: unknown): void {
    for (const waiting of this.#waiting.clear()) waiting.reject(error);
    this.#tellIdle();
  }

  /** Resolves when every item added so far, and those added meanwhile, has been answered. */
  async drain(): Promise<void> {
    while (this.size > 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#flush();
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Who waits for the end looks again. */
  #tellIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #pump(): void {
    if (this.#inFlight >= this.#options.inFlightMax) return;
    const { clock, sizeMax, lingerMs, isPrompt } = this.#options;
    if (this.#waiting.size >= sizeMax()) this.#flush();
    else if (this.#timer === undefined && this.#waiting.size > 0) {
      if (isPrompt === true && this.#inFlight === 0) this.#flushSoon();
      else {
        this.#timer = clock.after(lingerMs, () => {
          this.#timer = undefined;
          this.#flush();
        });
      }
    }
  }

  #flushSoon(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    this.#options.clock.soon(() => {
      this.#isSoon = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#waiting.size > 0 && this.#inFlight < this.#options.inFlightMax) {
      const batch = this.#waiting.take(this.#options.sizeMax());
      this.#inFlight += 1;
      this.#inFlightItems += batch.length;
      void this.#call(batch).catch(() => {});
    }
  }

  async #call(batch: Waiting<Item, Result>[]): Promise<void> {
    const { clock, restMs } = this.#options;
    const startedAt = clock.monotonic();
    try {
      const results = await this.#options.run(batch.map((waiting) => waiting.item));
      batch.forEach((waiting, index) => waiting.resolve(results[index] as Result));
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#inFlightItems -= batch.length;
      this.#tellIdle();
      const rest = restMs?.(clock.monotonic() - startedAt) ?? 0;
      if (rest > 0) await sleep(clock, rest);
      this.#inFlight -= 1;
      this.#pump();
    }
  }
}
