// Which lane an account travels in, from a bounded count that is remembered for a while.

import { hasMoreSubscribersThan } from "../db/accept.ts";
import type { Database } from "../db/database.ts";
import type { UserId } from "../domain/ids.ts";
import { LARGE_ACCOUNT_SUBSCRIBERS } from "../domain/limits.ts";
import { type Priority, priorityOfAccount } from "../domain/priority.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";

const REMEMBERED_MS = 60_000;
const ACCOUNTS_MAX = 100_000;

export class AccountPriorities {
  readonly #database: Database;
  readonly #known: TtlCache<UserId, Promise<Priority>>;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#known = new TtlCache({ clock, ttlMs: REMEMBERED_MS, entriesMax: ACCOUNTS_MAX });
  }

  of(userId: UserId): Promise<Priority> {
    const known = this.#known.get(userId);
    if (known !== undefined) return known;
    const asked = this.#ask(userId);
    this.#known.set(userId, asked);
    asked.catch(() => this.#known.delete(userId));
    return asked;
  }

  async #ask(userId: UserId): Promise<Priority> {
    const { run, sql } = this.#database;
    const isLarge = await run(() => hasMoreSubscribersThan(sql, userId, LARGE_ACCOUNT_SUBSCRIBERS));
    return priorityOfAccount(isLarge ? LARGE_ACCOUNT_SUBSCRIBERS + 1 : 0);
  }
}
