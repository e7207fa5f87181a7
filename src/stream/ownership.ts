// One owner per partition in the whole fleet. Every worker keeps a presence key; ranked by it, each owns its share of the
// partitions: it gives a surplus back, claims what is free, and takes over at once from a process that has died on this
// machine. One whose Postgres does not answer gives everything back, if another's does. What a lease promises stands in
// domain/lease.ts.

import { ElapsedTime, Lease, leaseTtlMs, quotaOf, RENEW_INTERVAL_MS } from "../domain/lease.ts";
import { ALL_PARTITIONS, type Partition, partitionName } from "../domain/partition.ts";
import { sleep } from "../lib/clock.ts";
import { hasSurelyEnded } from "../lib/process-identity.ts";
import type { Service } from "../lib/service.ts";
import { Timers } from "../lib/timers.ts";
import type { Entry } from "./owners-bucket.ts";
import { type Holder, OwnersView } from "./owners-view.ts";
import type { OwnershipOptions } from "./ownership-ports.ts";
import { Presence } from "./presence.ts";

type Owned = {
  lease: Lease;
  value: string;
  releasing: Promise<void> | undefined;
  isRenewing: boolean;
  /** Monotonic: when an unable worker stops waiting for what it cannot record, and lets the lease run out. */
  giveUpAt: number;
};

/** Changes in the bucket that come together are answered together. */
const SETTLE_MS = 50;
/** How often the owners on this machine are looked at: their death is noticed within this. */
const LOOK_INTERVAL_MS = 500;
/** More than the last request takes: then what is left are results that cannot be recorded. */
const GIVE_UP_SLACK_MS = 5_000;

const UNABLE = "its Postgres does not answer, and another worker's does";

export class Ownership implements Service {
  readonly name = "ownership";
  readonly #options: OwnershipOptions;
  readonly #ttlMs: number;
  readonly #time: ElapsedTime;
  readonly #view: OwnersView;
  readonly #presence: Presence;
  readonly #owned = new Map<Partition, Owned>();
  readonly #claiming = new Set<Partition>();
  readonly #timers: Timers;
  #watch: { stop(): void } | undefined;
  #isPlanned = false;
  #claimNotBefore = Number.POSITIVE_INFINITY;
  #bucketCreatedAt: string | undefined;
  #isStopping = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#ttlMs = leaseTtlMs(options.attemptTimeoutMs);
    this.#time = new ElapsedTime(options.clock);
    this.#timers = new Timers(options.clock);
    this.#presence = new Presence({ ...options, ttlMs: this.#ttlMs, since: this.#now() });
    this.#view = new OwnersView(options.hasEnded ?? ((other) => hasSurelyEnded(other, options.identity)));
  }

  get ttlMs(): number {
    return this.#ttlMs;
  }

  start(): Promise<void> {
    this.#timers.every(RENEW_INTERVAL_MS, () => this.#renew());
    this.#timers.every(LOOK_INTERVAL_MS, () => {
      this.#time.now();
      this.#lookForTheDead();
    });
    return Promise.resolve();
  }

  /** Gives everything back in order, then leaves. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    // Said first, so that the others take up each partition as it becomes free.
    await this.#renewPresence().catch(() => {});
    await Promise.allSettled([...this.#owned.keys()].map((partition) => this.#release(partition, "stopping")));
    this.#timers.cancelAll();
    this.#watch?.stop();
    await this.#presence.remove().catch(() => {});
  }

  /**
   * There is a bucket, and a connection to it. `claimNotBefore` (monotonic milliseconds): of a bucket that replaces
   * another one, earlier leases may still be believed in by their holders until then.
   */
  bucketIs(bucket: { createdAt: string; claimNotBefore: number }): void {
    if (this.#isStopping) return;
    if (this.#bucketCreatedAt !== undefined && this.#bucketCreatedAt !== bucket.createdAt) {
      for (const partition of this.#owned.keys()) this.#lose(partition, "the bucket of leases was replaced");
      this.#presence.forget();
    }
    this.#bucketCreatedAt = bucket.createdAt;
    this.#claimNotBefore = bucket.claimNotBefore;
    this.#follow();
    this.#background("presence", this.#renewPresence());
  }

  #follow(): void {
    this.#watch?.stop();
    this.#view.forgetAll();
    this.#watch = this.#options.store.watch(
      (entry) => this.#hear(entry),
      () => {
        this.#timers.after(RENEW_INTERVAL_MS, () => {
          if (!this.#isStopping) this.#follow();
        });
      },
    );
  }

  #hear(entry: Entry): void {
    if (!this.#view.hear(entry)) return;
    for (const [partition, owned] of this.#owned) {
      if (partitionName(partition) !== entry.key || entry.revision <= owned.lease.revision) continue;
      if (entry.value !== owned.value) this.#lose(partition, "another revision is in the bucket");
    }
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#timers.after(SETTLE_MS, () => {
      this.#isPlanned = false;
      this.#balance();
    });
  }

  // ---- renewing ----

  #renew(): void {
    this.#background("presence", this.#renewPresence());
    const giveUpAt = this.#options.clock.monotonic() + this.#options.attemptTimeoutMs + GIVE_UP_SLACK_MS;
    for (const [partition, owned] of this.#owned) {
      if (!this.#isReplaced()) owned.giveUpAt = Infinity;
      else if (owned.releasing !== undefined) owned.giveUpAt = Math.min(owned.giveUpAt, giveUpAt);
      if (!owned.lease.isCurrent()) this.#lose(partition, "its deadline passed without a renewal");
      else if (owned.giveUpAt < this.#options.clock.monotonic()) this.#lose(partition, UNABLE);
      else if (!owned.isRenewing) this.#background(partitionName(partition), this.#renewLease(partition, owned));
    }
    this.#plan();
  }

  #renewPresence(): Promise<void> {
    return this.#presence.renew({ isLeaving: this.#isStopping, isUnable: !this.#options.isAble() });
  }

  async #renewLease(partition: Partition, owned: Owned): Promise<void> {
    const { store } = this.#options;
    owned.isRenewing = true;
    try {
      const sentAt = this.#time.now();
      const revision = await store.write(partitionName(partition), owned.value, owned.lease.revision, this.#ttlMs);
      if (this.#owned.get(partition) !== owned) return;
      if (revision !== undefined) owned.lease.renewed(revision, sentAt);
      else await this.#adoptOrLose(partition, owned);
    } finally {
      owned.isRenewing = false;
    }
  }

  /** Our renewal was refused. Either an earlier one did arrive, its answer lost, or somebody else holds the lease. */
  async #adoptOrLose(partition: Partition, owned: Owned): Promise<void> {
    const present = await this.#options.store.read(partitionName(partition));
    if (this.#owned.get(partition) !== owned) return;
    // The deadline stays where it was: only a renewal that is answered moves it.
    if (present?.value === owned.value) owned.lease.revision = present.revision;
    else this.#lose(partition, "another revision is in the bucket");
  }

  // ---- balancing ----

  #balance(): void {
    if (this.#isStopping || !this.#presence.isKnown) return;
    const { workerId, clock } = this.#options;
    const ranks = this.#view.workers();
    const rank = ranks.indexOf(workerId);
    const isReplaced = this.#isReplaced();
    if (rank === -1 && !isReplaced) return;
    const quota = isReplaced ? 0 : quotaOf(ALL_PARTITIONS.length, ranks.length, rank);
    const kept = [...this.#owned]
      .filter(([, { releasing }]) => releasing === undefined)
      .map(([partition]) => partition);
    for (const partition of kept.slice(quota)) {
      const reason = isReplaced ? UNABLE : `one of ${ranks.length} workers owns ${quota}`;
      this.#background(partitionName(partition), this.#release(partition, reason));
    }
    if (clock.monotonic() < this.#claimNotBefore) return;
    const wanted = quota - kept.length - this.#claiming.size;
    const isTaken = (partition: Partition): boolean => this.#owned.has(partition) || this.#claiming.has(partition);
    for (const partition of this.#view.claimableBy(workerId, rank, isTaken).slice(0, Math.max(0, wanted))) {
      this.#background(partitionName(partition), this.#claim(partition));
    }
  }

  /** Unable, and others are able: nothing should be ours. */
  #isReplaced(): boolean {
    const able = this.#view.workers();
    return !this.#options.isAble() && able.length > 0 && !able.includes(this.#options.workerId);
  }

  async #claim(partition: Partition): Promise<void> {
    const { store, workerId, identity, events } = this.#options;
    const key = partitionName(partition);
    const before = this.#view.revisionOf(partition);
    const holder = this.#view.holderOf(partition);
    this.#claiming.add(partition);
    try {
      const claim: Holder = { worker: workerId, process: identity ?? null, since: this.#now() };
      const value = JSON.stringify(claim);
      const bucket = this.#bucketCreatedAt;
      const sentAt = this.#time.now();
      const revision = await store.write(key, value, before, this.#ttlMs);
      if (revision === undefined) {
        this.#view.correct(key, before, await store.read(key));
        this.#plan();
        return;
      }
      this.#hear({ key, revision, value });
      // In a bucket that has taken the place of ours, and of which we have not been told, it is too early for claims.
      const isOurBucket = (await store.createdAt()) === bucket;
      if (!isOurBucket && this.#bucketCreatedAt === bucket) this.#claimNotBefore = Number.POSITIVE_INFINITY;
      const lease = new Lease(this.#time, this.#ttlMs, revision, sentAt);
      if (!isOurBucket || this.#isStopping || !lease.isCurrent()) {
        await store.remove(key, revision);
        return;
      }
      this.#owned.set(partition, { lease, value, releasing: undefined, isRenewing: false, giveUpAt: Infinity });
      if (holder === undefined || holder.worker === workerId) events.gained(partition, lease, "it was free");
      else {
        events.takenOver(partition);
        events.gained(partition, lease, `its owner ${holder.worker} has died on this machine`);
      }
    } finally {
      this.#claiming.delete(partition);
    }
  }

  /** Resolves when it is free; for one that is being given back already, when that is done. */
  #release(partition: Partition, reason: string): Promise<void> {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return Promise.resolve();
    owned.releasing ??= this.#giveBack(partition, owned, reason);
    return owned.releasing;
  }

  async #giveBack(partition: Partition, owned: Owned, reason: string): Promise<void> {
    await this.#options.events.release(partition, reason);
    if (this.#owned.get(partition) !== owned) return;
    // Not before a renewal under way is answered: its revision is the one to delete.
    while (owned.isRenewing) await sleep(this.#options.clock, SETTLE_MS);
    if (this.#owned.get(partition) !== owned) return;
    this.#owned.delete(partition);
    await this.#options.store.remove(partitionName(partition), owned.lease.revision);
  }

  #lose(partition: Partition, reason: string): void {
    const owned = this.#owned.get(partition);
    if (owned === undefined) return;
    owned.lease.lose();
    this.#owned.delete(partition);
    this.#options.events.lost(partition, reason);
  }

  #lookForTheDead(): void {
    const { presences, hasAny } = this.#view.ofTheDead();
    if (hasAny) this.#plan();
    for (const { key, revision } of presences) {
      this.#background("presence of the dead", this.#options.store.remove(key, revision));
    }
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }

  #background(task: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#options.onTrouble(task, error));
  }
}
