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
export const LEASE_MARGIN_MS = 1_000;

/** Long enough for the longest attempt after three renewals in a row have failed. Whole seconds. */
export function leaseTtlMs(attemptTimeoutMs: number): number {
  return Math.ceil((attemptTimeoutMs + 3 * RENEW_INTERVAL_MS + 2_000) / 1_000) * 1_000;
}

/** How many of `partitions` the worker of `rank` (0 is the first) of `workers` should own. */
export function quotaOf(partitions: number, workers: number, rank: number): number {
  return Math.floor(partitions / workers) + (rank < partitions % workers ? 1 : 0);
}

/** An instant on both clocks: the wall clock may jump, the monotonic one may stand still while a machine sleeps. */
export type Instant = { wallMs: number; monotonicMs: number };

export function instantOf(clock: Clock): Instant {
  return { wallMs: clock.now(), monotonicMs: clock.monotonic() };
}

export class Lease {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  #renewedAt: Instant;
  #isLost = false;
  /** Of the key, as last written by us. */
  revision: number;

  /** `sentAt`: when the successful claim was sent. */
  constructor(clock: Clock, ttlMs: number, revision: number, sentAt: Instant) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.revision = revision;
    this.#renewedAt = sentAt;
  }

  renewed(revision: number, sentAt: Instant): void {
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
    if (this.#isLost) return 0;
    const goneMs = Math.max(
      this.#clock.now() - this.#renewedAt.wallMs,
      this.#clock.monotonic() - this.#renewedAt.monotonicMs,
    );
    return this.#ttlMs - goneMs;
  }
}
