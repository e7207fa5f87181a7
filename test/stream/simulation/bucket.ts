// The bucket of leases as the server keeps it: compare-and-set on a key's last revision, a time to live that begins when
// the write arrives, a marker in place of what has expired, and after the marker nothing, so that the key's revision is 0
// again. test/stream/owners-bucket.test.ts holds a real server to the same.

import type { Timer } from "../../../src/lib/clock.ts";
import type { Entry } from "../../../src/stream/owners-bucket.ts";
import type { World } from "./world.ts";

/** What stands for a deleted or expired key is forgotten after this. */
const MARKER_TTL_MS = 60_000;
/** The server looks for what has expired about once a second. */
const EXPIRY_LATE_MS_MAX = 1_000;

type Stored = Entry & { expiry: Timer };

export class SimulatedBucket {
  readonly createdAt: number;
  readonly #world: World;
  readonly #keys = new Map<string, Stored>();
  readonly #watchers = new Set<(entry: Entry) => void>();
  #lastRevision = 0;

  constructor(world: World) {
    this.#world = world;
    this.createdAt = world.now;
  }

  write(key: string, value: string | null, revision: number, ttlMs: number): number | undefined {
    if ((this.#keys.get(key)?.revision ?? 0) !== revision) return undefined;
    return this.#store(key, value, ttlMs);
  }

  remove(key: string, revision: number): boolean {
    return this.write(key, null, revision, MARKER_TTL_MS) !== undefined;
  }

  read(key: string): Entry | undefined {
    const stored = this.#keys.get(key);
    return stored === undefined ? undefined : { key, revision: stored.revision, value: stored.value };
  }

  /** Hears every key now, and every change after that. */
  watch(hear: (entry: Entry) => void): () => void {
    for (const { key, revision, value } of this.#keys.values()) hear({ key, revision, value });
    this.#watchers.add(hear);
    return () => this.#watchers.delete(hear);
  }

  #store(key: string, value: string | null, ttlMs: number): number {
    this.#keys.get(key)?.expiry.cancel();
    const revision = (this.#lastRevision += 1);
    const expiry = this.#world.after(ttlMs + this.#world.between(0, EXPIRY_LATE_MS_MAX), () => {
      if (value === null) this.#keys.delete(key);
      else this.#store(key, null, MARKER_TTL_MS);
    });
    this.#keys.set(key, { key, revision, value, expiry });
    for (const hear of this.#watchers) hear({ key, revision, value });
    return revision;
  }
}
