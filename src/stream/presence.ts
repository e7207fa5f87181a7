// This worker's own key in the bucket: while it is there, the worker counts in everybody's ranking.

import type { ProcessIdentity } from "../lib/process-identity.ts";
import type { OwnersStore } from "./owners-bucket.ts";
import { type Holder, presenceKey } from "./owners-view.ts";

export type PresenceOptions = {
  store: OwnersStore;
  workerId: string;
  identity: ProcessIdentity | undefined;
  ttlMs: number;
  /** When the worker came. */
  since: string;
};

export class Presence {
  readonly #options: PresenceOptions;
  readonly #key: string;
  #revision = 0;
  #isKnown = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#key = presenceKey(options.workerId);
  }

  /** The key has been written, to the bucket that there is now. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** `isLeaving`: takes no more part in the ranking, and has not given everything back yet. */
  async renew(state: { isLeaving: boolean; isUnable: boolean }): Promise<void> {
    const { store, workerId, identity, ttlMs, since } = this.#options;
    const holder: Holder = { worker: workerId, process: identity ?? null, since };
    if (state.isLeaving) holder.isLeaving = true;
    if (state.isUnable) holder.isUnable = true;
    const value = JSON.stringify(holder);
    let revision = await store.write(this.#key, value, this.#revision, ttlMs);
    if (revision === undefined) {
      // A write whose answer was lost, or an expiry: the key is ours alone, so take its revision as it is.
      this.#revision = (await store.read(this.#key))?.revision ?? 0;
      revision = await store.write(this.#key, value, this.#revision, ttlMs);
    }
    if (revision === undefined) return;
    this.#revision = revision;
    this.#isKnown = true;
  }

  async remove(): Promise<void> {
    if (this.#isKnown) await this.#options.store.remove(this.#key, this.#revision);
  }

  /** The bucket is another one. */
  forget(): void {
    this.#revision = 0;
    this.#isKnown = false;
  }
}
