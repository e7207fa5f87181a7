// What attempts need to know of webhooks, from memory: loaded together, believed for a short while, forgotten at once
// when a change is announced.

import type { WebhookId } from "../domain/ids.ts";
import {
  ATTEMPT_TIMEOUT_MS_MAX,
  STREAM_MESSAGES_PER_SUBJECT_MAX,
  WEBHOOK_CACHE_ENTRIES_MAX,
  WEBHOOK_CACHE_MS,
} from "../domain/limits.ts";
import { PRIORITIES } from "../domain/priority.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { StoredCircuit } from "./circuits.ts";
import type { Endpoint, Endpoints, Target } from "./ports.ts";

/** As it stands in the tables: `secrets` are encrypted. */
export type StoredEndpoint = Omit<Endpoint, "secrets" | "unreadable"> & {
  secrets: readonly Uint8Array[];
  stored: StoredCircuit;
};
type LoadedEndpoint = Endpoint & { stored: StoredCircuit };

export type EndpointCacheOptions = {
  clock: Clock;
  observe: Observe;
  load(ids: readonly WebhookId[]): Promise<readonly StoredEndpoint[]>;
  /** Throws for a secret that cannot be read: with another key, or changed. */
  decrypt: (secret: Uint8Array, webhookId: WebhookId) => string;
  /** Told of each reading, before it is used. */
  circuits: { load(target: Target, stored: StoredCircuit, askedAt: number): void };
  /** It has been read: more of its messages may be in flight than were as long as nothing was known of it. */
  onLoaded(webhookId: WebhookId): void;
  /** Disables it and accepts the event that tells its owner, both or neither. False: it was disabled already, or has another URL. */
  disable(endpoint: Endpoint, reason: string): Promise<boolean>;
};

const LOAD_BATCH_MAX = 500;
const LOADS_IN_FLIGHT_MAX = 2;
const LOADS_WAITING_MAX = 50_000;

/** As long as a message may wait in a mailbox: behind full lanes, every request as slow as it may be. */
const CANCELLATION_REMEMBERED_MS = PRIORITIES.length * STREAM_MESSAGES_PER_SUBJECT_MAX * ATTEMPT_TIMEOUT_MS_MAX;

type Entry = { endpoint: Endpoint | undefined };

export class EndpointCache implements Endpoints {
  readonly #options: EndpointCacheOptions;
  readonly #entries: TtlCache<WebhookId, Entry>;
  /** What of a webhook was pending before then is cancelled. The table forgets the mark once the rows say so themselves. */
  readonly #cancelled: TtlCache<WebhookId, number>;
  /** URLs that nothing more is sent to while their webhooks are being disabled. */
  readonly #shut: TtlCache<WebhookId, string>;
  readonly #loads: Batcher<WebhookId, LoadedEndpoint | undefined>;
  /** Loads under way that are up to date. When a change of the webhook is announced its load serves who asked, and is not kept. */
  readonly #underWay = new Map<WebhookId, Promise<Endpoint | undefined>>();

  constructor(options: EndpointCacheOptions) {
    this.#options = options;
    const { clock } = options;
    this.#entries = new TtlCache({ clock, ttlMs: WEBHOOK_CACHE_MS, entriesMax: WEBHOOK_CACHE_ENTRIES_MAX });
    this.#cancelled = new TtlCache({
      clock,
      ttlMs: CANCELLATION_REMEMBERED_MS,
      entriesMax: WEBHOOK_CACHE_ENTRIES_MAX,
    });
    this.#shut = new TtlCache({ clock, ttlMs: WEBHOOK_CACHE_MS, entriesMax: WEBHOOK_CACHE_ENTRIES_MAX });
    this.#loads = new Batcher({
      clock,
      sizeMax: () => LOAD_BATCH_MAX,
      lingerMs: 1,
      inFlightMax: LOADS_IN_FLIGHT_MAX,
      waitingMax: LOADS_WAITING_MAX,
      async run(ids) {
        const stored = new Map((await options.load(ids)).map((endpoint) => [endpoint.webhookId, endpoint]));
        return ids.map((id) => {
          const endpoint = stored.get(id);
          return endpoint === undefined ? undefined : withSecrets(endpoint, options.decrypt);
        });
      },
    });
  }

  find(webhookId: WebhookId): Endpoint | undefined | Promise<Endpoint | undefined> {
    const known = this.#entries.get(webhookId);
    if (known === undefined) return this.#load(webhookId);
    // If it fails, it is read when its time is over.
    if (this.#entries.isToBeRefreshed(webhookId)) this.#load(webhookId).catch(() => {});
    return known.endpoint;
  }

  reload(webhookId: WebhookId): Promise<Endpoint | undefined> {
    this.#underWay.delete(webhookId);
    return this.#load(webhookId);
  }

  maxInFlight(webhookId: WebhookId): number {
    return this.#entries.peek(webhookId)?.endpoint?.maxInFlight ?? 1;
  }

  /** A webhook was changed: the next attempt reads it anew. */
  forget(webhookId: WebhookId): void {
    this.#underWay.delete(webhookId);
    this.#entries.delete(webhookId);
    this.#shut.delete(webhookId);
  }

  /** Changes may have been announced unheard. */
  forgetAll(): void {
    this.#underWay.clear();
    this.#entries.clear();
  }

  /** Its rows that were pending before then are cancelled: their messages in mailboxes are never sent, enabled again or not. */
  cancelled(webhookId: WebhookId, beforeMs: number): void {
    this.#cancelled.set(webhookId, beforeMs);
    this.forget(webhookId);
  }

  /** It may have another URL by now, and then stays open: what is read next says so. */
  shut({ webhookId, url }: Endpoint): void {
    this.#shut.set(webhookId, url);
    this.#entries.delete(webhookId);
  }

  disable(endpoint: Endpoint, reason: string): void {
    this.#background(`disable webhook ${endpoint.webhookId}`, this.#disable(endpoint, reason));
  }

  async #disable(endpoint: Endpoint, reason: string): Promise<void> {
    try {
      if (!(await this.#options.disable(endpoint, reason))) return;
    } finally {
      // Whatever came of it stands in the table now.
      this.forget(endpoint.webhookId);
    }
    this.#options.observe("webhook.disabled", { webhook_id: endpoint.webhookId, reason });
  }

  #load(webhookId: WebhookId): Promise<Endpoint | undefined> {
    const underWay = this.#underWay.get(webhookId);
    if (underWay !== undefined) return underWay;
    const load = this.#read(webhookId, () => this.#underWay.get(webhookId) === load);
    this.#underWay.set(webhookId, load);
    return load;
  }

  async #read(webhookId: WebhookId, isUpToDate: () => boolean): Promise<Endpoint | undefined> {
    const askedAt = this.#options.clock.monotonic();
    try {
      const loaded = this.#withMarks(await this.#loads.add(webhookId));
      if (!isUpToDate()) return loaded;
      this.#entries.set(webhookId, { endpoint: loaded });
      if (loaded !== undefined) this.#options.circuits.load(loaded, loaded.stored, askedAt);
      this.#options.onLoaded(webhookId);
      return loaded;
    } finally {
      if (isUpToDate()) this.#underWay.delete(webhookId);
    }
  }

  /** With what is known here and need not stand in the table. */
  #withMarks(loaded: LoadedEndpoint | undefined): LoadedEndpoint | undefined {
    if (loaded === undefined) return undefined;
    const isActive = loaded.isActive && this.#shut.get(loaded.webhookId) !== loaded.url;
    const before = this.#cancelled.get(loaded.webhookId) ?? null;
    const cancelBefore = before === null ? loaded.cancelBefore : Math.max(before, loaded.cancelBefore ?? before);
    return { ...loaded, isActive, cancelBefore };
  }

  #background(task: string, work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.observe("housekeeping.failed", { task, error: describeError(error) }));
  }
}

/** One that cannot be read is nobody else's trouble. */
function withSecrets(endpoint: StoredEndpoint, decrypt: EndpointCacheOptions["decrypt"]): LoadedEndpoint {
  try {
    const secrets = endpoint.secrets.map((secret) => decrypt(secret, endpoint.webhookId));
    return { ...endpoint, secrets, unreadable: null };
  } catch (error) {
    return { ...endpoint, secrets: [], unreadable: `secrets: ${describeError(error)}; check SECRETS_KEY` };
  }
}
