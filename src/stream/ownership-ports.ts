// What the ownership of partitions asks of others, and tells them.

import type { Lease } from "../domain/lease.ts";
import type { Partition } from "../domain/partition.ts";
import type { Clock } from "../lib/clock.ts";
import type { ProcessIdentity } from "../lib/process-identity.ts";
import type { OwnersStore } from "./owners-bucket.ts";

/** What the delivery side does with a partition. */
type OwnershipEvents = {
  gained(partition: Partition, lease: Lease, reason: string): void;
  /** Resolves when nothing of it is in hand any more; only then is the lease given up. */
  release(partition: Partition, reason: string): Promise<void>;
  lost(partition: Partition, reason: string): void;
  takenOver(partition: Partition): void;
};

export type OwnershipOptions = {
  store: OwnersStore;
  clock: Clock;
  workerId: string;
  identity: ProcessIdentity | undefined;
  /** Whether another worker's process has surely ended, as far as this one can tell. */
  hasEnded?: (other: ProcessIdentity) => boolean;
  /** Decides how long a lease must last. */
  attemptTimeoutMs: number;
  /** Whether this worker can do its work just now: its Postgres answers. */
  isAble: () => boolean;
  events: OwnershipEvents;
  onTrouble(task: string, error: unknown): void;
};
