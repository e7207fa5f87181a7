// The one way into the stream, for first publishes and refills alike: publish, and note in the row which message
// carries the delivery. Whatever goes wrong here leaves the row waiting in the table, where refill finds it.

import type { Database, Sql } from "../db/database.ts";
import { noteSequences, type SequenceNote } from "../db/results.ts";
import { endGrace, type Lane, markBacklogs } from "../db/waiting.ts";
import type { Message } from "../domain/delivery.ts";
import type { DeliveryId } from "../domain/ids.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { Published, Publisher } from "../stream/publisher.ts";
import { keyOf } from "./backlogs.ts";
import type { StreamKeeper } from "./stream-keeper.ts";

/** Most first deliveries are over within this, and then there is nothing left to note. Well below the grace of refill. */
const FIRST_NOTES_LINGER_MS = 1_000;
/** The same, but refill's next sweep must find the notes of the last one. */
const REFILL_NOTES_LINGER_MS = 300;
const NOTES_BATCH_MAX = 2_000;
const NOTES_IN_FLIGHT_MAX = 2;
const NOTES_WAITING_MAX = 20_000;

const MARKS_LINGER_MS = 20;
const MARKS_BATCH_MAX = 100;
const MARKS_WAITING_MAX = 10_000;
const REFUSED_BATCH_MAX = 500;

export type OutgoingOptions = {
  publisher: Publisher;
  keeper: Pick<StreamKeeper, "ensured" | "look">;
  database: Database;
  clock: Clock;
  observe: Observe;
  onPublished: (origin: Message["origin"]) => void;
};

export class Outgoing implements Service {
  readonly name = "outgoing";
  readonly #options: OutgoingOptions;
  readonly #notes: Record<Message["origin"], Batcher<SequenceNote, void>>;
  /** Lanes that were found full, to be marked: an account's may all be full at once, and others wait for Postgres too. */
  readonly #full: Batcher<Lane, boolean>;
  readonly #marking = new Set<string>();
  /** First deliveries that found their lane full: refill need not wait for us. */
  readonly #refused: Batcher<DeliveryId, void>;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    const { database, clock } = options;
    const writes = <Item>(
      bounds: { sizeMax: number; lingerMs: number; inFlightMax: number; waitingMax: number },
      write: (sql: Sql, batch: readonly Item[]) => Promise<void>,
    ): Batcher<Item, void> =>
      new Batcher({
        clock,
        ...bounds,
        sizeMax: () => bounds.sizeMax,
        async run(batch) {
          await database.run(() => write(database.sql, batch));
          return batch.map(() => undefined);
        },
      });
    const notes = (lingerMs: number): Batcher<SequenceNote, void> =>
      writes(
        { sizeMax: NOTES_BATCH_MAX, lingerMs, inFlightMax: NOTES_IN_FLIGHT_MAX, waitingMax: NOTES_WAITING_MAX },
        noteSequences,
      );
    this.#full = new Batcher({
      clock,
      sizeMax: () => MARKS_BATCH_MAX,
      lingerMs: MARKS_LINGER_MS,
      inFlightMax: 1,
      waitingMax: MARKS_WAITING_MAX,
      async run(lanes) {
        const marked = await database.run(() => markBacklogs(database.sql, lanes));
        return lanes.map(({ webhookId }) => marked.has(webhookId));
      },
    });
    this.#refused = writes(
      { sizeMax: REFUSED_BATCH_MAX, lingerMs: MARKS_LINGER_MS, inFlightMax: 1, waitingMax: MARKS_WAITING_MAX },
      endGrace,
    );
    this.#notes = { accept: notes(FIRST_NOTES_LINGER_MS), refill: notes(REFILL_NOTES_LINGER_MS) };
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Waits for the notes of what was published, and of what could not be. */
  async stop(): Promise<void> {
    await Promise.all([
      this.#notes.accept.drain(),
      this.#notes.refill.drain(),
      this.#full.drain(),
      this.#refused.drain(),
    ]);
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
        this.#notes[message.origin]
          .add({
            deliveryId: message.deliveryId,
            generation: message.generation,
            seq: published.seq,
            epoch: stream.epoch,
          })
          .catch(() => {});
        break;
      case "subject_full":
        this.markFull(message);
        // Should it be lost, the row waits until its grace is over.
        if (message.origin === "accept") this.#refused.add(message.deliveryId).catch(() => {});
        break;
      case "failed":
        this.#options.keeper.look();
        break;
    }
    return published;
  }

  /** A lane that has enough in the stream is marked: the API leaves its new deliveries to refill. */
  markFull({ webhookId, priority }: Lane): void {
    const { observe } = this.#options;
    const key = keyOf({ webhookId, priority });
    if (this.#marking.has(key)) return;
    this.#marking.add(key);
    this.#full
      .add({ webhookId, priority })
      .then(
        (isNew) => isNew && observe("backlog.started", { webhook_id: webhookId, priority }),
        () => {}, // The next publish to the full lane tries again.
      )
      .finally(() => this.#marking.delete(key))
      .catch(() => {});
  }
}
