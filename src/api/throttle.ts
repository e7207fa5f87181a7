// Slows down guessing of passwords: ten wrong ones per key (who asks, and for whom) in 15 minutes, then none is tried until
// the oldest is 15 minutes old. Those under way count as if they might fail, so that a burst is not tried as a whole
// before its first failures are known: it waits. In memory: a restart forgets, and another process counts for itself.

import { DomainError } from "../domain/error.ts";
import type { Clock } from "../lib/clock.ts";

const FAILURES_MAX = 10;
const WINDOW_MS = 15 * 60_000;
/** Keys remembered, oldest forgotten first: some 20 MB at the most. */
const KEYS_MAX = 50_000;
/** Passwords of one key that may wait for others of it. */
const WAITING_MAX = 500;

type Waiting = { goOn: () => void; refuse: (error: unknown) => void };
type Entry = { failedAt: number[]; underWay: number; waiting: Waiting[] };

export class PasswordThrottle {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `verify` unless there were too many wrong ones; undefined from it counts as wrong. Throws too_many_attempts. */
  async attempt<Result>(key: string, verify: () => Promise<Result | undefined>): Promise<Result | undefined> {
    const entry = this.#entry(key);
    await this.#begin(entry);
    try {
      const result = await verify();
      if (result === undefined) entry.failedAt.push(this.#clock.monotonic());
      return result;
    } catch (error) {
      // Who waited for this one has waited for the database as long as it may.
      if (error instanceof DomainError && error.code === "unavailable") {
        for (const { refuse } of entry.waiting.splice(0)) refuse(error);
      }
      throw error;
    } finally {
      entry.underWay -= 1;
      for (const { goOn } of entry.waiting.splice(0)) goOn();
      if (entry.underWay === 0 && entry.waiting.length === 0 && entry.failedAt.length === 0) this.#entries.delete(key);
    }
  }

  async #begin(entry: Entry): Promise<void> {
    for (;;) {
      const now = this.#clock.monotonic();
      entry.failedAt = entry.failedAt.filter((at) => at > now - WINDOW_MS);
      const oldest = entry.failedAt[0];
      if (oldest !== undefined && entry.failedAt.length >= FAILURES_MAX) {
        throw tooMany((oldest + WINDOW_MS - now) / 1_000);
      }
      if (entry.failedAt.length + entry.underWay < FAILURES_MAX) break;
      if (entry.waiting.length >= WAITING_MAX) throw tooMany(1);
      await new Promise<void>((goOn, refuse) => entry.waiting.push({ goOn, refuse }));
    }
    entry.underWay += 1;
  }

  #entry(key: string): Entry {
    const entry = this.#entries.get(key) ?? { failedAt: [], underWay: 0, waiting: [] };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > KEYS_MAX) this.#forgetOldest();
    return entry;
  }

  #forgetOldest(): void {
    for (const key of this.#entries.keys()) {
      this.#entries.delete(key);
      return;
    }
  }
}

type Server = { requestIP(request: Request): { address: string } | null };

/** Where `request` comes from, for a key: of everybody behind a proxy it is the proxy's address. */
export function addressOf(server: Server | null, request: Request): string {
  return server?.requestIP(request)?.address ?? "";
}

function tooMany(retryAfterS: number): DomainError {
  return new DomainError("too_many_attempts", "Too many wrong passwords. Try again later.", { retryAfterS });
}
