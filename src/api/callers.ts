// What is remembered of callers, so that a busy one costs neither a signature check nor a query per request: claims of
// verified tokens, and users for at most a second. A change made by this process is seen at once, one by another process
// within that second.

import { findUser, findUsers, type User } from "../db/users.ts";
import type { UserId } from "../domain/ids.ts";
import { Batcher } from "../lib/batcher.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { ApiDeps } from "./ports.ts";
import { type Claims, type Jwt, readToken } from "./tokens.ts";

const CLAIMS_REMEMBERED_MS = 60_000;
const USERS_REMEMBERED_MS = 1_000;
const ENTRIES_MAX = 20_000;
/** Users are read anew together, in the second half of their second: one query for all who were there in so long. */
const REFRESH_LINGER_MS = 200;
const REFRESHED_AT_ONCE_MAX = 1_000;

export class Callers {
  readonly #deps: Pick<ApiDeps, "db" | "clock">;
  readonly #claims: TtlCache<string, Claims>;
  readonly #users: TtlCache<UserId, Promise<User | undefined>>;
  readonly #refreshes: Batcher<UserId, User | undefined>;

  constructor(deps: Pick<ApiDeps, "db" | "clock">) {
    this.#deps = deps;
    const { clock } = deps;
    this.#claims = new TtlCache({ clock, ttlMs: CLAIMS_REMEMBERED_MS, entriesMax: ENTRIES_MAX });
    this.#users = new TtlCache({ clock, ttlMs: USERS_REMEMBERED_MS, entriesMax: ENTRIES_MAX });
    this.#refreshes = new Batcher({
      clock,
      lingerMs: REFRESH_LINGER_MS,
      sizeMax: () => REFRESHED_AT_ONCE_MAX,
      inFlightMax: 1,
      waitingMax: ENTRIES_MAX,
      run: async (ids) => {
        const found = await findUsers(deps.db, ids);
        return ids.map((id) => found.get(id));
      },
    });
  }

  /** Undefined for a token that is not ours, or has expired. */
  async claimsOf(tokens: Jwt, token: string): Promise<Claims | undefined> {
    const now = this.#deps.clock.now();
    const known = this.#claims.get(token);
    if (known !== undefined) return now < known.expiresAt ? known : undefined;
    const claims = await readToken(tokens, token, now);
    if (claims !== undefined) this.#claims.set(token, claims);
    return claims;
  }

  userOf(id: UserId): Promise<User | undefined> {
    const known = this.#users.get(id);
    if (known === undefined) {
      const found = findUser(this.#deps.db, id);
      this.#users.set(id, found);
      found.catch(() => this.#users.delete(id));
      return found;
    }
    if (this.#users.isToBeRefreshed(id)) this.#refresh(id, known);
    return known;
  }

  /** The user was changed or deleted. */
  forget(id: UserId): void {
    this.#users.delete(id);
  }

  #refresh(id: UserId, known: Promise<User | undefined>): void {
    this.#refreshes.add(id).then(
      (user) => {
        // Changed meanwhile, or read anew: what was read may be from before that.
        if (this.#users.peek(id) === known) this.#users.set(id, Promise.resolve(user));
      },
      () => {}, // Asked again when its time is over.
    );
  }
}
