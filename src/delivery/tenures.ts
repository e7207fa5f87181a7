// The partitions that this worker owns, from gain to release.
//
//   gained ──► pulling ──release──► draining ──last request ended, all recorded──► released
//                 │                                                                 (what waited was given back by nak)
//                 └──drop (the lease is lost)──► gone: nothing is answered for any more
//
// A new connection renews the pulling; a new epoch of the stream begins the tenure anew, with empty mailboxes. After
// either, and at the beginning, every message is compared with its row until it is known where the stream ended just then.

import type { Message } from "../domain/delivery.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { HeldMessages } from "./held.ts";
import type { Intake } from "./intake.ts";
import type { StreamHandle, Tenure } from "./ports.ts";

/** What says that a partition is ours, and for how long. */
export type Ownership = {
  isCurrent(): boolean;
  /** Ours for so long that a request of `timeoutMs` ends before anybody else could start one. */
  lasts(timeoutMs: number): boolean;
};

/** The pulling of one partition's messages. */
export type Pulling = { stop(): Promise<void>; abandon(): void; renew(): void };

export type TenuresOptions = {
  clock: Clock;
  observe: Observe;
  intake: Intake;
  held: HeldMessages;
  /** `onRefused`: nothing comes just now, and what the stream remembers of this partition's deliveries may be lost. */
  pull(partition: Partition, receive: (message: Message, handle: StreamHandle) => void, onRefused: () => void): Pulling;
  /** The sequence of the last message that the stream has taken. Rejects when no answer comes. */
  lastSequence: () => Promise<number>;
  /** Refill and the table's upkeep begin and end with a tenure. */
  onBegin: (partition: Partition) => void;
  onEnd: (partition: Partition) => void;
};

type Owned = { ownership: Ownership; tenure: OwnedTenure | undefined; pulling: Pulling | undefined };

const LOOK_INTERVAL_MS = 10;
/** After a question for the stream's end that nobody answered. */
const ASK_AGAIN_MS = 500;

export class Tenures {
  readonly #options: TenuresOptions;
  readonly #owned = new Map<Partition, Owned>();
  /** Of the stream as it was last seen; undefined while nobody is connected to it. */
  #epoch: number | undefined;
  /** Tenures of which it is not known yet where in the stream they, or their connection, begin. */
  #unplaced = new Set<OwnedTenure>();
  #isPlacing = false;

  constructor(options: TenuresOptions) {
    this.#options = options;
  }

  get partitions(): Partition[] {
    return [...this.#owned.keys()];
  }

  /** Begins to deliver a partition's messages, as soon as there is a stream. */
  gain(partition: Partition, ownership: Ownership, reason: string): void {
    if (this.#owned.has(partition)) return;
    this.#owned.set(partition, { ownership, tenure: undefined, pulling: undefined });
    this.#options.observe("partition.gained", { partition: partitionName(partition), reason });
    this.#options.onBegin(partition);
    this.#pull(partition);
    this.#placeAll();
  }

  /** Gives a partition back in order: resolves when its last request has ended and everything is recorded. */
  async release(partition: Partition, reason: string): Promise<void> {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    const { intake, held, clock, onEnd, observe } = this.#options;
    onEnd(partition);
    if (owned.tenure !== undefined) owned.tenure.isDraining = true;
    intake.park(partition);
    await owned.pulling?.stop();
    intake.giveBack(partition);
    while (this.#owned.get(partition) === owned && held.ofPartition(partition).length > 0) {
      await sleep(clock, LOOK_INTERVAL_MS);
    }
    // Lost meanwhile, and perhaps gained anew.
    if (this.#owned.get(partition) !== owned) return;
    if (owned.tenure !== undefined) owned.tenure.hasEnded = true;
    this.#owned.delete(partition);
    observe("partition.released", { partition: partitionName(partition), reason });
  }

  /** The partition is not ours any more: drops everything, answers for nothing. Results of requests under way still count. */
  drop(partition: Partition, reason: string): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    this.#options.onEnd(partition);
    this.#forget(owned, partition);
    this.#owned.delete(partition);
    this.#options.observe("partition.lost", { partition: partitionName(partition), reason });
  }

  /** A (re)connection, or another stream. */
  streamIs(epoch: number): void {
    this.#epoch = epoch;
    for (const [partition, owned] of this.#owned) {
      if (owned.tenure?.isDraining === true) continue;
      if (owned.tenure !== undefined && owned.tenure.epoch !== epoch) this.#forget(owned, partition);
      if (owned.tenure === undefined) this.#pull(partition);
      else {
        this.#doubt(owned.tenure);
        owned.pulling?.renew();
      }
    }
    this.#placeAll();
  }

  /** Until the stream has been looked at again, nothing counts as published during this connection. */
  streamIsUnknown(): void {
    this.#epoch = undefined;
    for (const { tenure } of this.#owned.values()) if (tenure !== undefined) this.#doubt(tenure);
  }

  #pull(partition: Partition): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined || this.#epoch === undefined) return;
    const tenure = new OwnedTenure(partition, this.#epoch, owned.ownership);
    owned.tenure = tenure;
    this.#doubt(tenure);
    owned.pulling = this.#options.pull(
      partition,
      (message, handle) => this.#options.intake.receive(message, handle, tenure),
      () => {
        this.#doubt(tenure);
        this.#placeAll();
      },
    );
  }

  #doubt(tenure: OwnedTenure): void {
    tenure.publishedAfterSeq = Number.POSITIVE_INFINITY;
    this.#unplaced.add(tenure);
  }

  #placeAll(): void {
    if (this.#isPlacing) return;
    this.#isPlacing = true;
    // Nothing of it rejects.
    this.#placeUnplaced().catch(() => {});
  }

  /** Asks where the stream ends, once for all tenures that are waiting to know, until it has been said. */
  async #placeUnplaced(): Promise<void> {
    const { lastSequence, clock } = this.#options;
    while (this.#unplaced.size > 0 && this.#epoch !== undefined) {
      const placed = this.#unplaced;
      this.#unplaced = new Set();
      try {
        const lastSeq = await lastSequence();
        // Of those that were doubted meanwhile the answer may be too old.
        for (const tenure of placed) if (!this.#unplaced.has(tenure)) tenure.publishedAfterSeq = lastSeq;
      } catch {
        for (const tenure of placed) if (!tenure.hasEnded) this.#unplaced.add(tenure);
        await sleep(clock, ASK_AGAIN_MS);
      }
    }
    this.#isPlacing = false;
  }

  #forget(owned: Owned, partition: Partition): void {
    if (owned.tenure !== undefined) owned.tenure.hasEnded = true;
    owned.pulling?.abandon();
    owned.tenure = undefined;
    owned.pulling = undefined;
    this.#options.intake.forget(partition);
  }
}

class OwnedTenure implements Tenure {
  readonly partition: Partition;
  readonly epoch: number;
  publishedAfterSeq = Number.POSITIVE_INFINITY;
  isDraining = false;
  hasEnded = false;
  readonly #ownership: Ownership;

  constructor(partition: Partition, epoch: number, ownership: Ownership) {
    this.partition = partition;
    this.epoch = epoch;
    this.#ownership = ownership;
  }

  isCurrent(): boolean {
    return !this.hasEnded && this.#ownership.isCurrent();
  }

  mayStartRequest(timeoutMs: number): boolean {
    return !this.hasEnded && !this.isDraining && this.#ownership.lasts(timeoutMs);
  }
}
