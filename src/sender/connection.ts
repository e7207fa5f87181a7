// One connection to a receiver: opened, used for one request after another, closed.
//
//   opening ──► idle ◄──► busy          from each of them to closed, by either side
//
// TLS and TCP are the runtime's (node:tls, node:net): a certificate is checked, against the name of the URL, before a byte
// of a request is written.

import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext } from "node:tls";
import { createHeadParser } from "./answer-head.ts";
import { AnswerReader } from "./answer-reader.ts";

/** Where to connect to. */
export type Place = {
  /** The same for all requests that may share a connection. */
  key: string;
  /** An IP address that was vetted. */
  address: string;
  port: number;
  /** The name that the certificate must be for; null for an address, which then must be in it. Undefined without TLS. */
  serverName?: string | null;
};

/** `error`: what ended the connection while the request was under way; null when that was over, or the receiver's wish. */
export type Exchanged = { reader: AnswerReader; error: Error | null };

/** So much the system takes of a connection, whether or not the receiver reads (Linux: the default of `tcp_wmem`). */
const TAKEN_BYTES = 16 * 1024;

export class Connection {
  readonly key: string;
  /** Until when the receiver may be trusted to keep it, by the monotonic clock; set by who keeps it. */
  usableUntil = 0;
  readonly #socket: Socket;
  readonly #isTls: boolean;
  /** Counted over TLS only. */
  #writtenBytes = 0;
  #state: "opening" | "idle" | "busy" | "closed" = "opening";
  #error: Error | null = null;
  readonly #parseHead = createHeadParser();
  #reader: AnswerReader | undefined;
  #done: ((exchanged: Exchanged) => void) | undefined;
  #opened: ((error: Error | null) => void) | undefined;
  #onClose: (() => void) | undefined;

  constructor(place: Place) {
    this.key = place.key;
    this.#socket = openSocket(place);
    this.#isTls = place.serverName !== undefined;
    this.#socket.setNoDelay(true);
    // Kept, it holds no process up; while it is in use the deadline's timer does.
    this.#socket.unref();
    this.#socket
      .on(this.#isTls ? "secureConnect" : "connect", () => this.#noteOpened())
      .on("data", (bytes: Buffer) => this.#read(bytes))
      // The runtime may report an error, and then an end as if it had been in order.
      .on("end", () => this.#end(this.#error))
      .on("error", (error) => (this.#error = error))
      .on("close", () => this.#end(this.#error));
  }

  /** Null once it is open, or why it could not be opened. Ask once. */
  opened(): Promise<Error | null> {
    if (this.#state === "closed") return Promise.resolve(this.#error ?? hungUp());
    if (this.#state !== "opening") return Promise.resolve(null);
    return new Promise((resolve) => (this.#opened = resolve));
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Writes `message` and reads the answer to it. Only on an idle connection, one at a time. */
  exchange(message: string): Promise<Exchanged> {
    if (this.#state !== "idle") throw new Error(`a connection that is ${this.#state} takes no request`);
    this.#state = "busy";
    this.#reader = new AnswerReader(this.#parseHead);
    if (this.#isTls) this.#writtenBytes += Buffer.byteLength(message);
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(message);
    });
  }

  keep(onClose: () => void): void {
    this.#onClose = onClose;
  }

  use(): void {
    this.#onClose = undefined;
  }

  /** At once, whatever is under way: nothing more is sent or read. */
  close(): void {
    this.#end(hungUp());
  }

  #noteOpened(): void {
    if (this.#state !== "opening") return;
    this.#state = "idle";
    this.#opened?.(null);
  }

  #read(bytes: Buffer): void {
    const reader = this.#reader;
    // Nobody asked for anything: what comes next could be taken for an answer to the next request.
    if (this.#state !== "busy" || reader === undefined) return this.#end(null);
    reader.feed(bytes);
    if (!reader.isOver) return;
    // An answer that came before the whole request was taken leaves the rest of it on the line.
    if (!reader.isReusable || this.#socket.writableLength > 0) return this.#end(null);
    this.#state = "idle";
    this.#finish(reader, null);
  }

  #end(error: Error | null): void {
    if (this.#state === "closed") return;
    const reader = this.#reader;
    this.#state = "closed";
    this.#error = error;
    this.#release();
    this.#opened?.(error ?? hungUp());
    this.#onClose?.();
    if (reader !== undefined) {
      reader.end(error === null);
      this.#finish(reader, error);
    }
  }

  /**
   * Over TLS the runtime holds on to what has been written until the system takes it, and to the connection as long,
   * which is for ever with a receiver that does not read on. Only a reset ends that.
   */
  #release(): void {
    if (this.#isTls && this.#writtenBytes > TAKEN_BYTES) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #finish(reader: AnswerReader, error: Error | null): void {
    const done = this.#done;
    this.#reader = undefined;
    this.#done = undefined;
    done?.({ reader, error });
  }
}

/** The trusted authorities, read once. */
let authorities: SecureContext | undefined;

function openSocket({ address, port, serverName }: Place): Socket {
  if (serverName === undefined) return connectTcp({ host: address, port });
  authorities ??= createSecureContext();
  return connectTls({
    host: address,
    port,
    secureContext: authorities,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
    ...(serverName === null ? {} : { servername: serverName }),
  });
}

/** What it is called when a receiver ends a connection without a word. */
export function hungUp(): Error {
  return Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" });
}
