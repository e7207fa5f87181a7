// Publishes deliveries to JetStream. What became of each is an answer, never an exception: a delivery that could not be
// published stays where it is, in the table.

import { jetstream, JetStreamApiError, type JetStreamClient } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Message } from "../domain/delivery.ts";
import { PUBLISHES_OUTSTANDING_MAX } from "../domain/limits.ts";
import type { NatsLink } from "./connection.ts";
import { headersOf } from "./message.ts";
import { STREAM, subjectOf } from "./subjects.ts";

export type Published =
  /** In the stream at `seq`; also when JetStream had this generation already. */
  | { kind: "stored"; seq: number }
  /** The subject holds as many messages as it may. */
  | { kind: "subject_full" }
  /** Not connected, no stream, the stream full, no answer in time, too many outstanding. */
  | { kind: "failed"; reason: string };

const PUBLISH_TIMEOUT_MS = 5_000;

/** err_code of "maximum messages per subject exceeded", and also of "maximum bytes exceeded". */
const LIMIT_EXCEEDED = 10077;

export class Publisher {
  readonly #link: NatsLink;
  #client: { connection: NatsConnection; jetstream: JetStreamClient } | undefined;
  #outstanding = 0;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  async publish(message: Message): Promise<Published> {
    const connection = this.#link.connection;
    if (connection === undefined) return { kind: "failed", reason: "not connected to NATS" };
    if (this.#outstanding >= PUBLISHES_OUTSTANDING_MAX)
      return { kind: "failed", reason: "too many publishes outstanding" };
    this.#outstanding += 1;
    try {
      const ack = await this.#jetstream(connection).publish(subjectOf(message), message.payload, {
        headers: headersOf(message),
        timeout: PUBLISH_TIMEOUT_MS,
        retries: 1,
      });
      if (ack.stream !== STREAM) return { kind: "failed", reason: `stored in another stream, ${ack.stream}` };
      return { kind: "stored", seq: ack.seq };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === LIMIT_EXCEEDED && /per subject/.test(error.message)) {
        return { kind: "subject_full" };
      }
      return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
    } finally {
      this.#outstanding -= 1;
    }
  }

  #jetstream(connection: NatsConnection): JetStreamClient {
    if (this.#client?.connection !== connection) this.#client = { connection, jetstream: jetstream(connection) };
    return this.#client.jetstream;
  }
}
