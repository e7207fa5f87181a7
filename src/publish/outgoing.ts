// The one way into the stream, for first publishes and refills alike: publish, and note in the row which message
// carries the delivery. Whatever goes wrong here leaves the row waiting in the table, where refill finds it.

import type { Database } from "../db/database.ts";
import { noteSequences, type SequenceNote } from "../db/results.ts";
import { type Lane, setBacklog } from "../db/waiting.ts";
import type { Message } from "../domain/delivery.ts";
import { PUBLISHES_OUTSTANDING_MAX } from "../domain/limits.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { Published, Publisher } from "../stream/publisher.ts";
import type { StreamKeeper } from "./stream-keeper.ts";

const NOTES_BATCH_MAX = 500;
const NOTES_LINGER_MS = 10;
const NOTES_IN_FLIGHT_MAX = 2;

export type OutgoingOptions = {
  publisher: Publisher;
  keeper: StreamKeeper;
  database: Database;
  clock: Clock;
  observe: Observe;
  onPublished: (origin: Message["origin"]) => void;
};

export class Outgoing implements Service {
  readonly name = "outgoing";
  readonly #options: OutgoingOptions;
  readonly #notes: Batcher<SequenceNote, void>;
  readonly #marking = new Set<string>();

  constructor(options: OutgoingOptions) {
    this.#options = options;
    const { database, clock } = options;
    this.#notes = new Batcher<SequenceNote, void>({
      clock,
      sizeMax: NOTES_BATCH_MAX,
      lingerMs: NOTES_LINGER_MS,
      inFlightMax: NOTES_IN_FLIGHT_MAX,
      waitingMax: PUBLISHES_OUTSTANDING_MAX,
      async run(notes) {
        await database.run(() => noteSequences(database.sql, notes));
        return notes.map(() => undefined);
      },
    });
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits for the notes of what was published. */
  stop(): Promise<void> {
    return this.#notes.drain();
  }

  /** Publishes one delivery. A lane that is full is marked, so that the API leaves its new deliveries to refill. */
  async publish(message: Message): Promise<Published> {
    const stream = this.#options.keeper.ensured;
    if (stream === undefined) return { kind: "failed", reason: "no stream" };
    const published = await this.#options.publisher.publish(message);
    switch (published.kind) {
      case "stored":
        this.#options.onPublished(message.origin);
        // A note that is lost or refused costs one look-up later: refill publishes again, under the same message id.
        this.#notes
          .add({
            deliveryId: message.deliveryId,
            generation: message.generation,
            seq: published.seq,
            epoch: stream.epoch,
          })
          .catch(() => {});
        break;
      case "subject_full":
        this.#markBacklog(message);
        break;
      case "failed":
        this.#options.keeper.look();
        break;
    }
    return published;
  }

  #markBacklog({ webhookId, priority }: Lane): void {
    const { database, observe } = this.#options;
    const key = `${webhookId} ${priority}`;
    if (this.#marking.has(key)) return;
    this.#marking.add(key);
    database
      .run(() => setBacklog(database.sql, { webhookId, priority }, true))
      .then(
        () => observe("backlog.started", { webhook_id: webhookId, priority }),
        () => {}, // The next publish to the full lane tries again.
      )
      .finally(() => this.#marking.delete(key))
      .catch(() => {});
  }
}
