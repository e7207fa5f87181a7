// The bucket `webhook-owners` as one worker has heard of it: who is there, and who holds which partition.

import { ALL_PARTITIONS, type Partition, partitionName } from "../domain/partition.ts";
import type { ProcessIdentity } from "../lib/process-identity.ts";
import type { Entry } from "./owners-bucket.ts";

/** A key's value: who holds a lease, or who is there. */
export type Holder = {
  worker: string;
  process: ProcessIdentity | null;
  since: string;
  isLeaving?: boolean;
  /** Its Postgres does not answer. */
  isUnable?: boolean;
};

const PRESENCE_PREFIX = "worker.";

export function presenceKey(workerId: string): string {
  return PRESENCE_PREFIX + workerId;
}

export class OwnersView {
  readonly #entries = new Map<string, Entry>();
  readonly #hasEnded: (process: ProcessIdentity) => boolean;

  /** `hasEnded`: whether a process has surely ended. */
  constructor(hasEnded: (process: ProcessIdentity) => boolean) {
    this.#hasEnded = hasEnded;
  }

  /** False: something as new was known already. */
  hear(entry: Entry): boolean {
    const known = this.#entries.get(entry.key);
    if (known !== undefined && known.revision >= entry.revision) return false;
    this.#entries.set(entry.key, entry);
    return true;
  }

  /**
   * What was read because `revision` turned out not to be the last: a key that is gone altogether tells no watcher so.
   * Ignored if something else was heard meanwhile, which may be newer than what was read.
   */
  correct(key: string, revision: number, read: Entry | undefined): void {
    if ((this.#entries.get(key)?.revision ?? 0) !== revision) return;
    this.#entries.set(key, read ?? { key, revision: 0, value: null });
  }

  forgetAll(): void {
    this.#entries.clear();
  }

  revisionOf(partition: Partition): number {
    return this.#entries.get(partitionName(partition))?.revision ?? 0;
  }

  /** Undefined: nobody, or somebody whose writing cannot be read. */
  holderOf(partition: Partition): Holder | undefined {
    return parseHolder(this.#entries.get(partitionName(partition))?.value ?? null);
  }

  /**
   * What nobody holds, or `workerId` does (a claim whose answer was lost), or one that has died on this machine; but for
   * what `isTaken`. Each rank's list begins at another place.
   */
  claimableBy(workerId: string, rank: number, isTaken: (partition: Partition) => boolean): Partition[] {
    const free = ALL_PARTITIONS.filter((partition) => {
      if (isTaken(partition)) return false;
      const holder = this.holderOf(partition);
      return holder === undefined || holder.worker === workerId || this.#isDead(holder);
    });
    const from = free.length === 0 ? 0 : (rank * 2) % free.length;
    return [...free.slice(from), ...free.slice(0, from)];
  }

  /**
   * Among whom the partitions are shared, in the order of their ids: who is there, stays, and is able to work; all who
   * stay, if none is.
   */
  workers(): string[] {
    const staying = [...this.#entries.values()]
      .filter(({ key }) => key.startsWith(PRESENCE_PREFIX))
      .flatMap(({ value }) => parseHolder(value) ?? [])
      .filter((holder) => holder.isLeaving !== true && !this.#isDead(holder));
    const able = staying.filter((holder) => holder.isUnable !== true);
    return (able.length > 0 ? able : staying).map(({ worker }) => worker).toSorted();
  }

  /** What the dead of this machine have left behind: the keys of their presence, and whether any lease is among it. */
  ofTheDead(): { presences: Entry[]; hasAny: boolean } {
    const entries = [...this.#entries.values()].filter(({ value }) => {
      const holder = parseHolder(value);
      return holder !== undefined && this.#isDead(holder);
    });
    return { presences: entries.filter(({ key }) => key.startsWith(PRESENCE_PREFIX)), hasAny: entries.length > 0 };
  }

  #isDead({ process }: Holder): boolean {
    return process !== null && this.#hasEnded(process);
  }
}

function parseHolder(value: string | null): Holder | undefined {
  if (value === null) return undefined;
  try {
    return JSON.parse(value) as Holder;
  } catch {
    return undefined;
  }
}
