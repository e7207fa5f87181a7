// Pulls the messages of one durable consumer. Unlike the client's own consume(), its end is exact: requests live for a
// second, so a stop that waits for the last one to end has received every message that the server handed out.

import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import { createInbox, nanos } from "@nats-io/transport-node";
import type { Clock, Timer } from "../lib/clock.ts";
import { STREAM } from "./subjects.ts";

/** One message as the consumer handed it out, and the ways to answer for it. All answers are fire and forget. */
export type Handle = {
  seq: number;
  /** 1 for the first time, as far as the server remembers. */
  deliveryCount: number;
  /** When it was stored, milliseconds since the epoch by the server's clock. */
  storedAt: number;
  ack(): void;
  /** Redelivered after `delayMs` whole milliseconds. */
  nak(delayMs: number): void;
  working(): void;
};

export type PullOptions = {
  /** Asked for its connection at the beginning and at every renewal: it may be another one by then, or none. */
  link: { readonly connection: NatsConnection | undefined };
  consumer: string;
  clock: Clock;
  /** Messages that may be on their way just now; asked before each request, and again shortly while it is 0. */
  batch: () => number;
  /** The server refused a request: there is no such consumer, or it has just gone or moved. What it remembered may be lost. */
  onRefused?: () => void;
  /** Must not throw. */
  onMessage(message: Msg, handle: Handle): void;
};

const EXPIRES_MS = 1_000;
/**
 * Bytes of one request. Two requests of each of 24 consumers stay well below the 64 MiB that the server keeps for a
 * client: past those it cuts the connection. More than the largest message, and two kilobytes for each of a batch.
 */
const REQUEST_BYTES_MAX = 512 * 1024;
/** No answer this long after a request ought to have expired: the request, or its answer, was lost. */
const LOST_AFTER_MS = 1_000;
/** Pause before the next request after one that the server refused. */
const REFUSED_PAUSE_MS = 250;
/** Pause while nothing may come. */
const BUSY_PAUSE_MS = 20;

export class Pull {
  readonly #options: PullOptions;
  readonly #inbox: string;
  #connection: NatsConnection | undefined;
  #subscription: Subscription | undefined;
  /**
   * Our requests that the server has not used up, by their number, oldest first. It serves them in turns, a message each,
   * and does not say of which one a message is. All are counted off the oldest, for only the sum matters: it is right
   * again, at the latest, when the requests expire.
   */
  readonly #requests = new Map<number, { remaining: number }>();
  #lastRequest = 0;
  #wanted = 0;
  #watchdog: Timer | undefined;
  #pause: Timer | undefined;
  #stopping = false;
  #ended: (() => void) | undefined;

  constructor(options: PullOptions) {
    this.#options = options;
    this.#inbox = createInbox();
    this.#subscribe();
    this.#request();
  }

  /** A subscription survives a reconnection, but not the end of its connection, which the client may decide on. */
  #subscribe(): void {
    const { connection } = this.#options.link;
    if (connection === undefined || connection === this.#connection || connection.isClosed()) return;
    this.#connection = connection;
    this.#subscription = connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#receive(message, connection);
      },
    });
  }

  get #isOpen(): boolean {
    return this.#connection?.isClosed() === false;
  }

  /** Asks for nothing more and waits until what was asked for has come or expired. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pause?.cancel();
    if (this.#requests.size > 0 && this.#isOpen) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
    }
    this.abandon();
  }

  /** Stops hearing at once; what is on its way comes again after the ack wait. */
  abandon(): void {
    this.#stopping = true;
    this.#pause?.cancel();
    this.#watchdog?.cancel();
    if (this.#isOpen) this.#subscription?.unsubscribe();
    this.#ended?.();
  }

  #request(): void {
    if (this.#stopping || this.#pause !== undefined || !this.#isOpen) return;
    const most = this.#options.batch();
    if (most === 0) {
      this.#pause = this.#options.clock.after(BUSY_PAUSE_MS, () => {
        this.#pause = undefined;
        this.#request();
      });
      return;
    }
    const batch = most - this.#wanted;
    this.#lastRequest += 1;
    this.#requests.set(this.#lastRequest, { remaining: batch });
    this.#wanted += batch;
    const body = JSON.stringify({ batch, max_bytes: REQUEST_BYTES_MAX, expires: nanos(EXPIRES_MS) });
    this.#connection?.publish(`$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${this.#options.consumer}`, body, {
      reply: `${this.#inbox}.${this.#lastRequest}`,
    });
    this.#watchdog?.cancel();
    this.#watchdog = this.#options.clock.after(EXPIRES_MS + LOST_AFTER_MS, () => this.#startOver());
  }

  /** Forgets every request and makes a new one: after a reconnection the server knows none of them. */
  renew(): void {
    if (!this.#stopping) this.#subscribe();
    this.#startOver();
  }

  #startOver(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
    this.#requests.clear();
    this.#wanted = 0;
    if (this.#stopping) this.#ended?.();
    else this.#request();
  }

  #receive(message: Msg, connection: NatsConnection): void {
    const reply = message.reply;
    if (reply === undefined || !reply.startsWith("$JS.ACK.")) {
      this.#receiveStatus(message);
      return;
    }
    const [oldest] = this.#requests;
    if (oldest !== undefined) {
      this.#wanted -= 1;
      oldest[1].remaining -= 1;
      if (oldest[1].remaining === 0) this.#close(oldest[0]);
    }
    this.#options.onMessage(message, new AckHandle(reply, connection));
    this.#requestMore();
  }

  /** In halves, so that the next request is there before the last one is used up. */
  #requestMore(): void {
    if (this.#wanted <= this.#options.batch() / 2) this.#request();
  }

  /**
   * A request has ended: 404 and 408 when it expired, 409 when its messages or its bytes are used up (NATS says so of the
   * messages if bytes are left); else the server refused it.
   */
  #receiveStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) return;
    this.#close(Number(message.subject.slice(this.#inbox.length + 1)));
    const description = message.headers?.description ?? "";
    const isUsedUp = code === 409 && (description.includes("MaxBytes") || description === "Batch Completed");
    if (code === 404 || code === 408 || isUsedUp) this.#requestMore();
    else {
      this.#options.onRefused?.();
      this.#pause ??= this.#options.clock.after(REFUSED_PAUSE_MS, () => this.#startOver());
    }
  }

  #close(request: number): void {
    this.#wanted -= this.#requests.get(request)?.remaining ?? 0;
    this.#requests.delete(request);
    if (this.#stopping && this.#requests.size === 0) this.#ended?.();
  }
}

const ACK = Buffer.from("+ACK");
const NAK = Buffer.from("-NAK");
const WORKING = Buffer.from("+WPI");

class AckHandle implements Handle {
  readonly seq: number;
  readonly deliveryCount: number;
  readonly storedAt: number;
  readonly #reply: string;
  readonly #connection: NatsConnection;

  // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>, and since 2.11 perhaps
  // with <domain>.<account hash> before the stream and a random word behind (NATS ADR-15).
  constructor(reply: string, connection: NatsConnection) {
    const first = wordsIn(reply) > 9 ? 6 : 4;
    this.deliveryCount = numberIn(reply, first);
    this.seq = numberIn(reply, first + 1);
    this.storedAt = Math.floor(numberIn(reply, first + 3) / 1e6);
    this.#reply = reply;
    this.#connection = connection;
  }

  ack(): void {
    this.#answer(ACK);
  }

  nak(delayMs: number): void {
    this.#answer(delayMs > 0 ? Buffer.from(`-NAK {"delay":${nanos(Math.ceil(delayMs))}}`) : NAK);
  }

  working(): void {
    this.#answer(WORKING);
  }

  /** An answer that cannot be sent is as good as none: the server redelivers, and the row is checked. */
  #answer(bytes: Uint8Array): void {
    if (!this.#connection.isClosed()) this.#connection.publish(this.#reply, bytes);
  }
}

function wordsIn(subject: string): number {
  let words = 1;
  for (let at = subject.indexOf("."); at !== -1; at = subject.indexOf(".", at + 1)) words += 1;
  return words;
}

/** The number that is a subject's `word`-th word, from 0 on. Read digit by digit: every message asks, and strings cost more. */
function numberIn(subject: string, word: number): number {
  let at = 0;
  for (let before = 0; before < word; before += 1) at = subject.indexOf(".", at) + 1;
  let number = 0;
  for (; isDigit(subject.charCodeAt(at)); at += 1) number = number * 10 + subject.charCodeAt(at) - DIGIT_0;
  return number;
}

const DIGIT_0 = 48;

function isDigit(code: number): boolean {
  return code >= DIGIT_0 && code < DIGIT_0 + 10;
}

/** A message's headers as they came. The client keeps the bytes; its own `headers` reads all of them one by one. */
export function headerBlockOf(message: Msg): string {
  const { _rdata: bytes, _msg: lengths } = message as Msg & { _rdata?: Uint8Array; _msg?: { hdr: number } };
  // Another release of the client may keep them in another form.
  if (bytes === undefined || lengths === undefined) {
    return [...(message.headers ?? [])].map(([name, [value]]) => `\r\n${name}: ${value}`).join("") + "\r\n";
  }
  return lengths.hdr > 0 ? decoder.decode(bytes.subarray(0, lengths.hdr)) : "";
}

const decoder = new TextDecoder();
