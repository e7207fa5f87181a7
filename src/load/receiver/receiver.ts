// Every receiver of a run behind one port: raw TCP, so that it can misbehave in ways that an HTTP server cannot, and
// counts what matters. A request begins with its first byte and is over when it is answered or its connection is gone.

import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/random.ts";
import { wallTimeMs } from "../wall-time.ts";
import { type Behaviour, targetOf } from "./behaviour.ts";
import { respond } from "./respond.ts";
import {
  ANSWERED,
  ARRIVED,
  NO_EVENT,
  OVERLAPPED,
  RecordWriter,
  SIGNATURE_CHECKED,
  SIGNATURE_WRONG,
} from "./records.ts";
import { headerOf, type IncomingRequest, RequestReader, UnreadableRequestError } from "./request-reader.ts";

/** One signature in so many is verified: each costs as much as all the rest of a request. */
const SIGNATURE_SAMPLE = 64;

/**
 * A client that gives up a request and makes the next at once may have the new connection noticed before the old one's
 * end: an overlap counts only if the older request is still open, or was answered, after this.
 */
const OVERLAP_RECHECK_MS = 5;

/** What stands before the number of the event in a body. */
const EVENT_MARK = '"load":';

export type ReceiverOptions = {
  clock: Clock;
  random: Random;
  /** Whether the request was signed with the webhook's secret. */
  verify: (webhook: number, headers: Record<string, string>, body: string) => boolean;
  port: number;
};

type Webhook = { number: number; behaviour: Behaviour; open: Set<Exchange> };

/** A request from its first byte to its end. */
type Exchange = { webhook: Webhook; event: number; idTail: number; state: "open" | "answered" | "abandoned" };

type Connection = { reader: RequestReader; exchanges: Set<Exchange> };
export type ReceiverSocket = Bun.Socket<Connection>;

export class Receiver {
  readonly port: number;
  readonly records = new RecordWriter();
  readonly #options: ReceiverOptions;
  readonly #listener: Bun.TCPSocketListener<Connection>;
  readonly #webhooks = new Map<string, Webhook>();
  #requests = 0;
  #inFlight = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#listener = Bun.listen<Connection>({
      hostname: "127.0.0.1",
      port: options.port,
      socket: {
        open(socket) {
          socket.data = { reader: new RequestReader(), exchanges: new Set() };
        },
        data: (socket, chunk) => this.#receive(socket, chunk),
        close: (socket) => {
          for (const exchange of socket.data.exchanges) this.#end(socket, exchange, "abandoned");
        },
        error: () => {},
      },
    });
    this.port = this.#listener.port;
  }

  /** Requests that have come and are not over. */
  get inFlight(): number {
    return this.#inFlight;
  }

  stop(): void {
    this.#listener.stop(true);
  }

  #receive(socket: ReceiverSocket, chunk: Buffer): void {
    try {
      for (const request of socket.data.reader.read(chunk, wallTimeMs(this.#options.clock))) {
        this.#handle(socket, request);
      }
    } catch (error) {
      if (!(error instanceof UnreadableRequestError)) throw error;
      socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
  }

  #handle(socket: ReceiverSocket, request: IncomingRequest): void {
    const webhook = this.#webhookOf(request.path);
    if (webhook === undefined) {
      socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    const idTail = idTailOf(headerOf(request, "webhook-id") ?? "");
    const exchange: Exchange = { webhook, event: eventOf(request), idTail, state: "open" };
    let flags = ARRIVED | this.#checkSample(request, webhook.number);
    for (const other of webhook.open) this.#suspectOverlap(other, exchange);
    webhook.open.add(exchange);
    socket.data.exchanges.add(exchange);
    this.#inFlight += 1;
    const { clock, random } = this.#options;
    let isImmediate = true;
    respond(webhook.behaviour, { socket, clock, random }, (isSuccess) => {
      if (exchange.state !== "open") return;
      this.#end(socket, exchange, "answered");
      if (!isSuccess) return;
      if (isImmediate) flags |= ANSWERED;
      else this.records.add(wallTimeMs(clock), exchange.event, webhook.number, idTail, ANSWERED);
    });
    isImmediate = false;
    this.records.add(request.firstByteAt, exchange.event, webhook.number, idTail, flags);
  }

  #webhookOf(path: string): Webhook | undefined {
    const known = this.#webhooks.get(path);
    if (known !== undefined) return known;
    const target = targetOf(path);
    if (target === undefined) return undefined;
    const webhook: Webhook = { number: target.webhook, behaviour: target.behaviour, open: new Set() };
    this.#webhooks.set(path, webhook);
    return webhook;
  }

  #end(socket: ReceiverSocket, exchange: Exchange, state: "answered" | "abandoned"): void {
    exchange.state = state;
    exchange.webhook.open.delete(exchange);
    socket.data.exchanges.delete(exchange);
    this.#inFlight -= 1;
  }

  #suspectOverlap(older: Exchange, newer: Exchange): void {
    this.#options.clock.after(OVERLAP_RECHECK_MS, () => {
      if (older.state === "abandoned") return;
      const now = wallTimeMs(this.#options.clock);
      this.records.add(now, newer.event, newer.webhook.number, newer.idTail, OVERLAPPED);
    });
  }

  #checkSample(request: IncomingRequest, webhook: number): number {
    this.#requests += 1;
    if (this.#requests % SIGNATURE_SAMPLE !== 1) return 0;
    const headers: Record<string, string> = {};
    for (const name of ["webhook-id", "webhook-timestamp", "webhook-signature"]) {
      headers[name] = headerOf(request, name) ?? "";
    }
    const body = Buffer.from(request.text.slice(request.bodyStart), "latin1").toString("utf8");
    return SIGNATURE_CHECKED | (this.#options.verify(webhook, headers, body) ? 0 : SIGNATURE_WRONG);
  }
}

function eventOf({ text, bodyStart }: IncomingRequest): number {
  const at = text.indexOf(EVENT_MARK, bodyStart);
  const number = at === -1 ? Number.NaN : Number.parseInt(text.slice(at + EVENT_MARK.length, at + 24), 10);
  return Number.isNaN(number) ? NO_EVENT : number;
}

/** The last 32 bits of a UUID; those of a version 7 are random. */
export function idTailOf(id: string): number {
  return Number.parseInt(id.slice(-8), 16) >>> 0;
}
