// A bounded map whose entries expire. Nothing runs in the background: an expired entry is found out when it is asked
// for, or makes room when the cache is full.

import type { Clock } from "./clock.ts";

export type TtlCacheOptions = { clock: Clock; ttlMs: number; entriesMax: number };

export class TtlCache<Key, Value> {
  readonly #options: TtlCacheOptions;
  // In the order of setting, which is the order of expiry.
  readonly #entries = new Map<Key, { value: Value; expiresAt: number; isRefreshing: boolean }>();

  constructor(options: TtlCacheOptions) {
    this.#options = options;
  }

  /** Entries held, expired ones that nobody has asked for since included. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#options.clock.monotonic() < entry.expiresAt) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  /**
   * True once in the second half of an entry's time: whoever is told so should set it anew. So what is asked for often
   * is never missing, and nobody waits for it.
   */
  isToBeRefreshed(key: Key): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.isRefreshing) return false;
    entry.isRefreshing = this.#options.clock.monotonic() > entry.expiresAt - this.#options.ttlMs / 2;
    return entry.isRefreshing;
  }

  /** The entry, expired or not, without asking the time. */
  peek(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Starts the entry's time anew. When the cache is full, the entry that would expire first goes. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#options.entriesMax) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    const expiresAt = this.#options.clock.monotonic() + this.#options.ttlMs;
    this.#entries.set(key, { value, expiresAt, isRefreshing: false });
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
