// The lanes of this worker that have more due than should wait in it: how far each has been read, how much of it is in the
// stream, and which of them want to be filled again. Users take turns.

import type { Bookmark, Lane, UsersLane } from "../db/waiting.ts";
import type { UserId } from "../domain/ids.ts";
import type { Partition } from "../domain/partition.ts";
import type { Clock } from "../lib/clock.ts";

/** Bookmarks skip what was handed back meanwhile: after this a lane is read from its beginning again. */
const BOOKMARK_MS = 30_000;

export type Backlog = UsersLane & {
  partition: Partition;
  /** Messages of it in the stream, as far as we know. */
  inStream: number;
  bookmark: Bookmark | undefined;
  bookmarkSince: number;
};

export function keyOf({ webhookId, priority }: Lane): string {
  return `${webhookId} ${priority}`;
}

export class Backlogs {
  readonly #clock: Clock;
  readonly #all = new Map<string, Backlog>();
  /** How many each user has. */
  readonly #byUser = new Map<UserId, number>();
  /** Those that want to be filled again, by user. */
  readonly #low = new Map<UserId, Set<Backlog>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  get(lane: Lane): Backlog | undefined {
    return this.#all.get(keyOf(lane));
  }

  hasUser(userId: UserId): boolean {
    return this.#byUser.has(userId);
  }

  ofPartition(partition: Partition): Backlog[] {
    return [...this.#all.values()].filter((backlog) => backlog.partition === partition);
  }

  /** The backlog of this lane, made if there is none. */
  ensure(partition: Partition, { webhookId, priority, userId }: UsersLane, inStream: number): Backlog {
    const known = this.get({ webhookId, priority });
    if (known !== undefined) return known;
    const bookmarkSince = this.#clock.monotonic();
    const backlog = { partition, webhookId, priority, userId, inStream, bookmark: undefined, bookmarkSince };
    this.#all.set(keyOf(backlog), backlog);
    this.#byUser.set(userId, (this.#byUser.get(userId) ?? 0) + 1);
    return backlog;
  }

  forget(backlog: Backlog): void {
    const { userId } = backlog;
    if (!this.#all.delete(keyOf(backlog))) return;
    this.#low.get(userId)?.delete(backlog);
    const left = (this.#byUser.get(userId) ?? 1) - 1;
    if (left === 0) this.#byUser.delete(userId);
    else this.#byUser.set(userId, left);
  }

  /** Where to read on; undefined: from the beginning. */
  bookmarkOf(lane: Lane): Bookmark | undefined {
    const backlog = this.get(lane);
    if (backlog === undefined) return undefined;
    const now = this.#clock.monotonic();
    if (now - backlog.bookmarkSince > BOOKMARK_MS) {
      backlog.bookmark = undefined;
      backlog.bookmarkSince = now;
    }
    return backlog.bookmark;
  }

  noteLow(backlog: Backlog): void {
    const low = this.#low.get(backlog.userId);
    if (low === undefined) this.#low.set(backlog.userId, new Set([backlog]));
    else low.add(backlog);
  }

  /**
   * Up to `lanesMax` of those that want to be filled, of one partition, in turns of a few from each user with appetite.
   * Who has had a turn goes to the end of the line.
   */
  takeLow(lanesMax: number, hasAppetite: (userId: UserId) => boolean): Backlog[] {
    const perUser = Math.ceil(lanesMax / Math.max(this.#low.size, 1));
    const chosen: Backlog[] = [];
    for (const [userId, low] of this.#low) {
      if (low.size === 0) this.#low.delete(userId);
      if (chosen.length >= lanesMax) break;
      if (low.size === 0 || !hasAppetite(userId)) continue;
      const own: Backlog[] = [];
      for (const backlog of low) {
        if (own.length === perUser) break;
        if (backlog.partition === (chosen[0] ?? own[0] ?? backlog).partition) own.push(backlog);
      }
      if (own.length === 0) continue;
      for (const backlog of own) low.delete(backlog);
      // To the end of the line, and so round again in this walk while there is room: a lane that is taken is gone from `low`.
      this.#low.delete(userId);
      if (low.size > 0) this.#low.set(userId, low);
      chosen.push(...own);
    }
    return chosen;
  }
}
