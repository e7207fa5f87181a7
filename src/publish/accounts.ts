// What accepting needs to know of an account: which lane it travels in, and whether its events fan out widely. From
// bounded counts that are remembered for a while.

import { sizeUpAccount } from "../db/accept.ts";
import type { Database } from "../db/database.ts";
import type { UserId } from "../domain/ids.ts";
import { LARGE_ACCOUNT_SUBSCRIBERS, WIDE_ACCOUNT_WEBHOOKS } from "../domain/limits.ts";
import { type Priority, priorityOfAccount } from "../domain/priority.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";

const REMEMBERED_MS = 60_000;
const ACCOUNTS_MAX = 100_000;

/** `isWide`: one event makes so many deliveries that others should not wait in the same statement. */
export type Account = { priority: Priority; isWide: boolean };

export class Accounts {
  readonly #database: Database;
  readonly #known: TtlCache<UserId, Promise<Account>>;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#known = new TtlCache({ clock, ttlMs: REMEMBERED_MS, entriesMax: ACCOUNTS_MAX });
  }

  of(userId: UserId): Promise<Account> {
    const known = this.#known.get(userId);
    if (known === undefined) {
      const asked = this.#ask(userId);
      this.#known.set(userId, asked);
      asked.catch(() => this.#known.delete(userId));
      return asked;
    }
    if (this.#known.isToBeRefreshed(userId)) {
      this.#ask(userId).then(
        (account) => this.#known.set(userId, Promise.resolve(account)),
        () => {}, // Asked again when its time is over.
      );
    }
    return known;
  }

  async #ask(userId: UserId): Promise<Account> {
    const { run, sql } = this.#database;
    const { subscribers, webhooks } = await run(() =>
      sizeUpAccount(sql, userId, LARGE_ACCOUNT_SUBSCRIBERS, WIDE_ACCOUNT_WEBHOOKS),
    );
    return { priority: priorityOfAccount(subscribers), isWide: webhooks > WIDE_ACCOUNT_WEBHOOKS };
  }
}
