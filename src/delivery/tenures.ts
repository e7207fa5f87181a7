// The partitions that this worker owns, from gain to release.
//
//   gained ──► pulling ──release──► draining ──last request ended, all recorded──► released
//                 │                                                                 (what waited was given back by nak)
//                 └──drop (the lease is lost)──► gone: nothing is answered for any more
//
// A new connection renews the pulling; a new epoch of the stream begins the tenure anew, with empty mailboxes.

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

/** The stream as it is now: which epoch, and the sequence of its last message. */
export type StreamView = { epoch: number; lastSeq: number };

export type TenuresOptions = {
  clock: Clock;
  observe: Observe;
  intake: Intake;
  held: HeldMessages;
  pull(partition: Partition, receive: (message: Message, handle: StreamHandle) => void): Pulling;
  /** Refill and the table's upkeep begin and end with a tenure. */
  onBegin: (partition: Partition) => void;
  onEnd: (partition: Partition) => void;
};

type Owned = { ownership: Ownership; tenure: OwnedTenure | undefined; pulling: Pulling | undefined };

const LOOK_INTERVAL_MS = 10;

export class Tenures {
  readonly #options: TenuresOptions;
  readonly #owned = new Map<Partition, Owned>();
  #stream: StreamView | undefined;

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
  streamIs(stream: StreamView): void {
    const isNewEpoch = this.#stream?.epoch !== stream.epoch;
    this.#stream = stream;
    for (const [partition, owned] of this.#owned) {
      if (owned.tenure?.isDraining === true) continue;
      if (isNewEpoch) this.#forget(owned, partition);
      if (owned.tenure === undefined) this.#pull(partition);
      else {
        owned.tenure.publishedAfterSeq = stream.lastSeq;
        owned.pulling?.renew();
      }
    }
  }

  /** Until the stream has been looked at again, nothing counts as published during this connection. */
  streamIsUnknown(): void {
    for (const { tenure } of this.#owned.values()) {
      if (tenure !== undefined) tenure.publishedAfterSeq = Number.POSITIVE_INFINITY;
    }
  }

  #pull(partition: Partition): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined || this.#stream === undefined) return;
    const tenure = new OwnedTenure(partition, this.#stream, owned.ownership);
    owned.tenure = tenure;
    owned.pulling = this.#options.pull(partition, (message, handle) =>
      this.#options.intake.receive(message, handle, tenure),
    );
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
  publishedAfterSeq: number;
  isDraining = false;
  hasEnded = false;
  readonly #ownership: Ownership;

  constructor(partition: Partition, stream: StreamView, ownership: Ownership) {
    this.partition = partition;
    this.epoch = stream.epoch;
    this.publishedAfterSeq = stream.lastSeq;
    this.#ownership = ownership;
  }

  isCurrent(): boolean {
    return !this.hasEnded && this.#ownership.isCurrent();
  }

  mayStartRequest(timeoutMs: number): boolean {
    return !this.hasEnded && !this.isDraining && this.#ownership.lasts(timeoutMs);
  }
}
