// A process of the simulation: its clocks, its life, and its connection to the bucket. Whatever reaches it while it is
// frozen happens when it goes on; a killed one hears nothing more.

import type { Clock, Timer } from "../../../src/lib/clock.ts";
import type { Entry, OwnersStore } from "../../../src/stream/owners-bucket.ts";
import type { SimulatedBucket } from "./bucket.ts";
import type { World } from "./world.ts";

/** How long the store's client waits for an answer. */
const ANSWER_TIMEOUT_MS = 2_000;
/** How long one thing takes at most that a thawed process has to catch up with. */
const LATE_MS_MAX = 10;

/** How bad the network is: chances of one request. */
export type Weather = { requestLost: number; answerLost: number; slow: number; slowMs: number };

export const FAIR: Weather = { requestLost: 0, answerLost: 0, slow: 0, slowMs: 4_000 };

export class SimulatedProcess implements Clock, OwnersStore {
  readonly #world: World;
  readonly #bucketNow: () => SimulatedBucket | undefined;
  readonly #rate: number;
  #monotonicBehindMs = 0;
  #wallAheadMs: number;
  #frozenSince: number | undefined;
  #isKilled = false;
  #isCutOff = false;
  #late: (() => void)[] = [];
  #isCatchingUp = false;
  readonly #writtenAt = new Map<string, number>();
  weather: Weather = FAIR;

  /** `bucketNow`: undefined while there is none. */
  constructor(world: World, bucketNow: () => SimulatedBucket | undefined) {
    this.#world = world;
    this.#bucketNow = bucketNow;
    // Quartz is good to 0.01 %; a hypervisor makes more of it.
    this.#rate = world.between(0.995, 1.005);
    this.#wallAheadMs = world.between(-60_000, 60_000);
  }

  get isConnected(): boolean {
    return !this.#isCutOff;
  }

  get isRunning(): boolean {
    return !this.#isKilled && this.#frozenSince === undefined;
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  // ---- its clocks ----

  now(): number {
    return 1_700_000_000_000 + this.#world.now * this.#rate + this.#wallAheadMs;
  }

  monotonic(): number {
    return (this.#world.now - this.#monotonicBehindMs) * this.#rate;
  }

  soon(run: () => void): void {
    this.after(0, run);
  }

  after(delayMs: number, run: () => void): Timer {
    let isCancelled = false;
    this.#world.after(delayMs / this.#rate, () =>
      this.#happen(() => {
        if (!isCancelled) run();
      }),
    );
    return {
      cancel() {
        isCancelled = true;
      },
    };
  }

  // ---- its life ----

  freeze(): void {
    this.#frozenSince ??= this.#world.now;
  }

  /** `sleptMs`: for so long the machine itself stood still, and the monotonic clock with it. */
  thaw(hasSlept: boolean): void {
    if (this.#frozenSince === undefined || this.#isKilled) return;
    if (hasSlept) this.#monotonicBehindMs += this.#world.now - this.#frozenSince;
    this.#frozenSince = undefined;
    this.#catchUp();
  }

  kill(): void {
    this.#isKilled = true;
    this.#late = [];
  }

  jumpWallClock(byMs: number): void {
    this.#wallAheadMs += byMs;
  }

  cutOff(): void {
    this.#isCutOff = true;
  }

  reconnect(): void {
    this.#isCutOff = false;
  }

  // ---- its connection ----

  write(key: string, value: string, revision: number, ttlMs: number): Promise<number | undefined> {
    this.#writtenAt.set(key, this.monotonic());
    return this.#ask((bucket) => bucket.write(key, value, revision, ttlMs));
  }

  /** How long ago its last write of `key` was sent, by its own clock. */
  msSinceWrite(key: string): number {
    return this.monotonic() - (this.#writtenAt.get(key) ?? 0);
  }

  remove(key: string, revision: number): Promise<boolean> {
    return this.#ask((bucket) => bucket.remove(key, revision));
  }

  read(key: string): Promise<Entry | undefined> {
    return this.#ask((bucket) => bucket.read(key));
  }

  createdAt(): Promise<string> {
    return this.#ask((bucket) => String(bucket.createdAt));
  }

  watch(hear: (entry: Entry) => void, onEnd: () => void): { stop(): void } {
    let isStopped = false;
    let stop = (): unknown => {
      isStopped = true;
      return undefined;
    };
    this.#world.after(this.#travelMs(), () => {
      const bucket = this.#bucketNow();
      if (isStopped) return;
      if (bucket === undefined || this.#isCutOff || this.#isKilled) {
        this.#happen(onEnd);
        return;
      }
      const changes: Entry[] = [];
      const tell = (): void => {
        // In order, and nothing is lost: the client asks again for what it has missed.
        if (this.#isCutOff) return void this.#world.after(500, tell);
        const next = changes.shift();
        if (next !== undefined) {
          this.#happen(() => {
            if (!isStopped) hear(next);
          });
        }
        return undefined;
      };
      const stopWatching = bucket.watch((entry) => {
        changes.push(entry);
        this.#world.after(this.#travelMs(), tell);
      });
      stop = () => {
        isStopped = true;
        stopWatching();
      };
    });
    return { stop: () => void stop() };
  }

  #ask<Answer>(question: (bucket: SimulatedBucket) => Answer): Promise<Answer> {
    const world = this.#world;
    const { requestLost, answerLost } = this.weather;
    return new Promise((resolve, reject) => {
      this.after(ANSWER_TIMEOUT_MS, () => reject(new Error("no answer in time")));
      if (this.#isCutOff || world.happens(requestLost)) return;
      world.after(this.#travelMs(), () => {
        const bucket = this.#bucketNow();
        if (bucket === undefined) return;
        const answer = question(bucket);
        if (this.#isCutOff || world.happens(answerLost)) return;
        world.after(this.#travelMs(), () => this.#happen(() => resolve(answer)));
      });
    });
  }

  #travelMs(): number {
    const { slow, slowMs } = this.weather;
    return this.#world.happens(slow) ? this.#world.between(100, slowMs) : this.#world.between(0.5, 10);
  }

  /** One by one: a process that goes on has much to do. */
  #catchUp(): void {
    if (this.#frozenSince !== undefined || this.#isCatchingUp || this.#late.length === 0) return;
    this.#isCatchingUp = true;
    this.#world.after(this.#world.between(0, LATE_MS_MAX), () => {
      this.#isCatchingUp = false;
      if (this.#frozenSince === undefined && !this.#isKilled) this.#late.shift()?.();
      this.#catchUp();
    });
  }

  #happen(run: () => void): void {
    if (this.#isKilled) return;
    if (this.#frozenSince === undefined && this.#late.length === 0) run();
    else this.#late.push(run);
  }
}
