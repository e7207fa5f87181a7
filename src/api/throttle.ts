// Slows down guessing of passwords: ten wrong sign-ins per e-mail and address in 15 minutes, then none is tried until
// the oldest is 15 minutes old. Sign-ins of one key take turns, so that many at once are not all tried before the first
// has failed. In memory: a restart forgets, and another API process counts for itself.

import { DomainError } from "../domain/error.ts";
import type { Clock } from "../lib/clock.ts";

const FAILURES_MAX = 10;
const WINDOW_MS = 15 * 60_000;
/** Keys remembered, oldest forgotten first: some 20 MB at the most. */
const KEYS_MAX = 50_000;
/** Sign-ins of one key that may wait for their turn. */
const WAITING_MAX = 50;

type Entry = { failedAt: number[]; waiting: number; turn: Promise<unknown> };

export class SignInThrottle {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `signIn` unless there were too many wrong ones; undefined from it counts as wrong. Throws too_many_attempts. */
  async attempt<Result>(key: string, signIn: () => Promise<Result | undefined>): Promise<Result | undefined> {
    const entry = this.#entry(key);
    if (entry.waiting >= WAITING_MAX) throw tooMany(1);
    entry.waiting += 1;
    const turn = entry.turn.then(() => this.#takeTurn(entry, signIn));
    entry.turn = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      entry.waiting -= 1;
      if (entry.waiting === 0 && entry.failedAt.length === 0) this.#entries.delete(key);
    }
  }

  async #takeTurn<Result>(entry: Entry, signIn: () => Promise<Result | undefined>): Promise<Result | undefined> {
    const now = this.#clock.monotonic();
    entry.failedAt = entry.failedAt.filter((at) => at > now - WINDOW_MS);
    const oldest = entry.failedAt[0];
    if (oldest !== undefined && entry.failedAt.length >= FAILURES_MAX)
      throw tooMany((oldest + WINDOW_MS - now) / 1_000);
    const result = await signIn();
    if (result === undefined) entry.failedAt.push(this.#clock.monotonic());
    return result;
  }

  #entry(key: string): Entry {
    const entry = this.#entries.get(key) ?? { failedAt: [], waiting: 0, turn: Promise.resolve() };
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

function tooMany(retryAfterS: number): DomainError {
  return new DomainError("too_many_attempts", "Too many wrong sign-ins. Try again later.", { retryAfterS });
}
