// Somebody has to be able to sign in to a new database. While Postgres is away, or not migrated, the API runs without that
// somebody, who is made as soon as it can be.

import { findUserByEmail, insertUser } from "../db/users.ts";
import type { Database } from "../db/database.ts";
import { isNotMigrated } from "../db/migrate.ts";
import { DomainError } from "../domain/error.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Passwords } from "../lib/password.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";

const RETRY_INTERVAL_MS = 1_000;

/** True when it was created now; one that exists is left as it is. Safe in two processes at once. */
export async function ensureFirstSuperuser(
  db: Database,
  passwords: Passwords,
  email: string,
  password: string,
): Promise<boolean> {
  if ((await findUserByEmail(db, email)) !== undefined) return false;
  const passwordHash = await passwords.hash(password);
  try {
    await insertUser(db, { email, passwordHash, fullName: null, isActive: true, isSuperuser: true });
    return true;
  } catch (error) {
    if (error instanceof DomainError && error.code === "conflict") return false;
    throw error;
  }
}

export type FirstSuperuserOptions = {
  email: string;
  /** ensureFirstSuperuser */
  ensure: () => Promise<boolean>;
  clock: Clock;
  observe: Observe;
};

export class FirstSuperuser implements Service {
  readonly name = "first superuser";
  readonly #options: FirstSuperuserOptions;
  /** Said last: Postgres is away for as long as it is, however each try finds that out. */
  #said: string | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: FirstSuperuserOptions) {
    this.#options = options;
  }

  /**
   * When it returns the account is there, unless Postgres is away, or somebody is still to migrate it. Throws when it
   * cannot be made for any other reason.
   */
  async start(): Promise<void> {
    try {
      await this.#ensure();
    } catch (error) {
      if (this.#stopped || isAway(error) || isNotMigrated(error)) return this.#tryLater(error);
      throw new Error(`FIRST_SUPERUSER could not be made: ${describeError(error)}`, { cause: error });
    }
  }

  /** Does not wait for a try that is under way: it ends with the database. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    return Promise.resolve();
  }

  async #ensure(): Promise<void> {
    const { email, ensure, observe } = this.#options;
    if (await ensure()) observe("superuser.created", { email });
  }

  /** Whatever it was: a database that was away may not have been migrated yet when it is back. */
  #tryLater(failure: unknown): void {
    if (this.#stopped) return;
    const { email, clock, observe } = this.#options;
    const error = describeError(failure);
    const what = isAway(failure) ? "away" : error;
    if (what !== this.#said) observe("superuser.failed", { email, error });
    this.#said = what;
    this.#timer = clock.after(RETRY_INTERVAL_MS, () => {
      this.#ensure().catch((again: unknown) => this.#tryLater(again));
    });
  }
}

function isAway(error: unknown): boolean {
  return error instanceof DomainError && error.code === "unavailable";
}
