// Publishes deliveries to JetStream. What became of each is an answer, never an exception: a delivery that could not be
// published stays where it is, in the table.
//
// Answers come to one inbox for all, each under its request's number: the client's own publish makes a timer, a token and
// several objects for every message, and takes three times as long.

import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";
import type { Message } from "../domain/delivery.ts";
import { PUBLISHES_OUTSTANDING_BYTES_MAX, PUBLISHES_OUTSTANDING_MAX } from "../domain/limits.ts";
import type { Clock } from "../lib/clock.ts";
import type { NatsLink } from "./connection.ts";
import { headersOf } from "./message.ts";
import { STREAM, subjectOf } from "./subjects.ts";
import type { WriteWatch } from "./write-watch.ts";

export type Published =
  /** In the stream at `seq`; also when JetStream had this generation already. */
  | { kind: "stored"; seq: number }
  /** The subject holds as many messages as it may. */
  | { kind: "subject_full" }
  /** Not connected, no stream, the stream full, no answer in time, too many outstanding. */
  | { kind: "failed"; reason: string };

const PUBLISH_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 500;

/** err_code of "maximum messages per subject exceeded", and also of "maximum bytes exceeded". */
const LIMIT_EXCEEDED = 10077;

type Waiting = { readonly since: number; readonly bytes: number; readonly resolve: (published: Published) => void };

export class Publisher {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #writes: WriteWatch;
  readonly #inbox = createInbox();
  /** In the order in which they were sent, by their number. */
  readonly #waiting = new Map<string, Waiting>();
  /** Of payloads that wait for an answer, or may still be on their way though nobody waits any more. */
  #bytes = 0;
  #subscribed: NatsConnection | undefined;
  #last = 0;
  #isLooking = false;

  constructor(link: NatsLink, clock: Clock, writes: WriteWatch) {
    this.#link = link;
    this.#clock = clock;
    this.#writes = writes;
  }

  get outstanding(): number {
    return this.#waiting.size;
  }

  publish(message: Message): Promise<Published> {
    const connection = this.#link.connection;
    if (connection === undefined) return failed("not connected to NATS");
    if (this.#waiting.size >= PUBLISHES_OUTSTANDING_MAX) return failed("too many publishes outstanding");
    const bytes = Buffer.byteLength(message.payload);
    if (this.#bytes > 0 && this.#bytes + bytes > PUBLISHES_OUTSTANDING_BYTES_MAX) return failed("too much outstanding");
    const number = String((this.#last += 1));
    try {
      this.#subscribe(connection);
      connection.publish(subjectOf(message), message.payload, {
        headers: headersOf(message),
        reply: `${this.#inbox}.${number}`,
      });
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
    return new Promise((resolve) => {
      this.#waiting.set(number, { since: this.#clock.monotonic(), bytes, resolve });
      this.#bytes += bytes;
      this.#look();
    });
  }

  #subscribe(connection: NatsConnection): void {
    if (this.#subscribed === connection) return;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#receive(message);
      },
    });
    this.#subscribed = connection;
  }

  #receive(message: Msg): void {
    const number = message.subject.slice(this.#inbox.length + 1);
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    this.#bytes -= waiting.bytes;
    this.#writes.answered(STREAM);
    waiting.resolve(readAnswer(message));
  }

  /** Those that have waited too long have failed, as far as we know: their rows stay in the table. */
  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(LOOK_INTERVAL_MS, () => {
      this.#isLooking = false;
      const before = this.#clock.monotonic() - PUBLISH_TIMEOUT_MS;
      let lateBytes = 0;
      for (const [number, { since, bytes, resolve }] of this.#waiting) {
        if (since > before) break;
        this.#waiting.delete(number);
        lateBytes += bytes;
        if (this.#link.connection !== undefined) this.#writes.unanswered(STREAM);
        resolve({ kind: "failed", reason: "no answer in time" });
      }
      if (lateBytes > 0) this.#releaseOnceSent(lateBytes).catch(() => {});
      if (this.#waiting.size > 0) this.#look();
    });
  }

  /** What nobody waits for any more takes memory until the server has taken all that was sent, or the connection breaks. */
  async #releaseOnceSent(bytes: number): Promise<void> {
    await this.#link.connection?.flush().catch(() => {});
    this.#bytes -= bytes;
  }
}

type PubAck = { stream?: string; seq?: number; error?: { err_code?: number; description?: string } };

function readAnswer(message: Msg): Published {
  // Status 503 without a body: nobody listens on the stream's subjects.
  if (message.data.length === 0) return { kind: "failed", reason: "no stream takes it" };
  let answer: PubAck;
  try {
    answer = message.json<PubAck>();
  } catch {
    return { kind: "failed", reason: "the answer is no JSON" };
  }
  const { stream, seq, error } = answer;
  if (error !== undefined) {
    const reason = error.description ?? "an error without a description";
    return error.err_code === LIMIT_EXCEEDED && reason.includes("per subject")
      ? { kind: "subject_full" }
      : { kind: "failed", reason };
  }
  if (stream !== STREAM || seq === undefined) return { kind: "failed", reason: `stored in another stream, ${stream}` };
  return { kind: "stored", seq };
}

function failed(reason: string): Promise<Published> {
  return Promise.resolve({ kind: "failed", reason });
}
