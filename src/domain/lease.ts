// A lease is one worker's claim to one partition, kept in the bucket `webhook-owners` under the partition's name.
//
//   free ──claim (compare-and-set on its last revision)──► held ──renewal every 3 s──► held
//                                                           │
//                                                           ├─ release: pulling ends, requests end, results are
//                                                           │  recorded, then the key is deleted ───────────► free
//                                                           ├─ another revision in the bucket ─────────────► lost
//                                                           └─ deadline passed ────────────────────────────► lost
//
// The deadline is counted from the moment at which the last successful renewal was *sent*, on this worker's own clocks:
// the server counts from when it arrived, which is later, so nobody else can hold the key before our deadline. A request
// starts only if it must have ended by then. Lost: drop everything of the partition, ack nothing.

import type { Clock } from "../lib/clock.ts";

/** How often presence and leases are renewed. */
export const RENEW_INTERVAL_MS = 3_000;

/** Between the end of the last request and the lease's end: clocks that run at different speeds, a slow event loop. */
const LEASE_MARGIN_MS = 1_000;

/** Long enough for the longest attempt after three renewals in a row have failed. Whole seconds. */
export function leaseTtlMs(attemptTimeoutMs: number): number {
  return Math.ceil((attemptTimeoutMs + 3 * RENEW_INTERVAL_MS + 2_000) / 1_000) * 1_000;
}

/** How many of `partitions` the worker of `rank` (0 is the first) of `workers` should own. */
export function quotaOf(partitions: number, workers: number, rank: number): number {
  return Math.floor(partitions / workers) + (rank < partitions % workers ? 1 : 0);
}

/** Pieces of elapsed time are at least this long: each may be a millisecond too much, for clocks tick in those. */
const PIECE_MS = 250;

/**
 * Milliseconds since it was made, by the worse of two clocks: the wall clock may jump, the monotonic one may stand still
 * while a machine sleeps. Added up piece by piece, so that what one clock has shown the other cannot take back. Ask it
 * every second or so.
 */
export class ElapsedTime {
  readonly #clock: Clock;
  #addedMs = 0;
  #wallMs: number;
  #monotonicMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallMs = clock.now();
    this.#monotonicMs = clock.monotonic();
  }

  now(): number {
    const [wallMs, monotonicMs] = [this.#clock.now(), this.#clock.monotonic()];
    const pieceMs = Math.max(wallMs - this.#wallMs, monotonicMs - this.#monotonicMs);
    if (pieceMs < PIECE_MS) return this.#addedMs + pieceMs;
    [this.#wallMs, this.#monotonicMs] = [wallMs, monotonicMs];
    this.#addedMs += pieceMs;
    return this.#addedMs;
  }
}

export class Lease {
  readonly #time: ElapsedTime;
  readonly #ttlMs: number;
  #renewedAt: number;
  #isLost = false;
  /** Of the key, as last written by us. */
  revision: number;

  /** `sentAt`: when the successful claim was sent, by `time`. */
  constructor(time: ElapsedTime, ttlMs: number, revision: number, sentAt: number) {
    this.#time = time;
    this.#ttlMs = ttlMs;
    this.revision = revision;
    this.#renewedAt = sentAt;
  }

  renewed(revision: number, sentAt: number): void {
    this.revision = revision;
    this.#renewedAt = sentAt;
  }

  lose(): void {
    this.#isLost = true;
  }

  /** Still ours by the worse of both clocks. */
  isCurrent(): boolean {
    return this.#leftMs() > 0;
  }

  /** A request of `timeoutMs` that starts now ends while the lease is still ours. */
  lasts(timeoutMs: number): boolean {
    return this.#leftMs() > timeoutMs + LEASE_MARGIN_MS;
  }

  #leftMs(): number {
    return this.#isLost ? 0 : this.#renewedAt + this.#ttlMs - this.#time.now();
  }
}
