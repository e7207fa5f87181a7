// The bucket `webhook-owners`: who is there and who owns what. Every key expires by itself unless it is renewed, and is
// written only by compare-and-set on the revision that the writer knows.

import { jetstream, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers, TimeoutError } from "@nats-io/transport-node";
import type { NatsLink } from "./connection.ts";
import { OWNERS_BUCKET } from "./subjects.ts";
import type { WriteWatch } from "./write-watch.ts";

/** A key as the bucket has it. `value` is null when it was deleted or has expired; its revision still counts. */
export type Entry = { key: string; revision: number; value: string | null };

export interface OwnersStore {
  /**
   * Writes `key` if its last revision is `revision` (0: it has none). Answers the new revision, or undefined when
   * somebody else was first; throws when no answer came, and then it may or may not have been written.
   */
  write(key: string, value: string, revision: number, ttlMs: number): Promise<number | undefined>;
  /** Deletes `key` if its last revision is `revision`. */
  remove(key: string, revision: number): Promise<boolean>;
  /** The key as it is now; undefined when it was never written. */
  read(key: string): Promise<Entry | undefined>;
  /** When the bucket that is there now came to be: another time is another bucket. */
  createdAt(): Promise<string>;
  /** Tells every key, then every change, until `stop`. `onEnd`: nothing more will come, though nobody asked for that. */
  watch(hear: (entry: Entry) => void, onEnd: () => void): { stop(): void };
}

const ANSWER_TIMEOUT_MS = 2_000;
const WRONG_LAST_SEQUENCE = 10071;
/** How long a deletion is remembered: for watchers that are away just then. */
const TOMBSTONE_TTL = "60s";

export class OwnersBucket implements OwnersStore {
  readonly #link: NatsLink;
  readonly #writes: WriteWatch;

  constructor(link: NatsLink, writes: WriteWatch) {
    this.#link = link;
    this.#writes = writes;
  }

  // The client's own update() drops the key's time to live: hence a plain publish.
  async write(key: string, value: string, revision: number, ttlMs: number): Promise<number | undefined> {
    return this.#publish(key, value, revision, { ttl: `${Math.ceil(ttlMs / 1_000)}s` });
  }

  async remove(key: string, revision: number): Promise<boolean> {
    const marked = headers();
    marked.set("KV-Operation", "DEL");
    return (await this.#publish(key, "", revision, { headers: marked, ttl: TOMBSTONE_TTL })) !== undefined;
  }

  async read(key: string): Promise<Entry | undefined> {
    const entry = await (await this.#bucket()).get(key);
    if (entry === null) return undefined;
    return { key, revision: entry.revision, value: entry.operation === "PUT" ? entry.string() : null };
  }

  async createdAt(): Promise<string> {
    const manager = await jetstreamManager(this.#connection(), { checkAPI: false, timeout: ANSWER_TIMEOUT_MS });
    return String((await manager.streams.info(`KV_${OWNERS_BUCKET}`)).created);
  }

  watch(hear: (entry: Entry) => void, onEnd: () => void): { stop(): void } {
    let stopped = false;
    let stopIterator = (): void => {};
    const follow = async (): Promise<void> => {
      const changes = await (await this.#bucket()).watch();
      stopIterator = () => changes.stop();
      if (stopped) return stopIterator();
      for await (const { key, revision, operation, value } of changes) {
        if (stopped) return;
        hear({ key, revision, value: operation === "PUT" ? new TextDecoder().decode(value) : null });
      }
    };
    const ended = (): void => {
      if (!stopped) onEnd();
    };
    follow().then(ended, ended);
    return {
      stop() {
        stopped = true;
        stopIterator();
      },
    };
  }

  async #publish(
    key: string,
    value: string,
    revision: number,
    options: { ttl?: string; headers?: ReturnType<typeof headers> },
  ): Promise<number | undefined> {
    try {
      const ack = await jetstream(this.#connection()).publish(`$KV.${OWNERS_BUCKET}.${key}`, value, {
        ...options,
        timeout: ANSWER_TIMEOUT_MS,
        retries: 0,
        expect: { lastSubjectSequence: revision },
      });
      this.#writes.answered(OWNERS_BUCKET);
      return ack.seq;
    } catch (error) {
      if (error instanceof TimeoutError) this.#writes.unanswered(OWNERS_BUCKET);
      else if (error instanceof JetStreamApiError) this.#writes.answered(OWNERS_BUCKET);
      if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE) return undefined;
      throw error;
    }
  }

  #bucket() {
    return new Kvm(this.#connection()).open(OWNERS_BUCKET);
  }

  #connection() {
    const connection = this.#link.connection;
    if (connection === undefined) throw new Error("not connected to NATS");
    return connection;
  }
}
