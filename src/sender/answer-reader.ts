// Reads one answer off a connection, piece by piece as it comes, within bounds: so much is read, less is kept.
//
//   head ──► (1xx: another head) ──► body ──► complete
//     │                               ├─────► cut       more came than is read
//     └──────────► broken ◄───────────┘                 what came is no HTTP, or the connection ended too early
//
// A body is framed by its length, by chunks, by the end of the connection, or there is none (RFC 9112, section 6.3).

import { RESPONSE_KEPT_BYTES_MAX, RESPONSE_READ_BYTES_MAX } from "../domain/limits.ts";
import { type AnswerHead, parseHead } from "./answer-head.ts";

/** Heads of an answer in all, the informational ones too: as much as servers take of a request. Thousands may be unfinished. */
const HEAD_BYTES_MAX = 16 * 1024;
/** A chunk's size with its extensions, or a trailer. */
const LINE_BYTES_MAX = 4 * 1024;

type State = "head" | "body" | "complete" | "cut" | "broken";

export class AnswerReader {
  readonly #parse: typeof parseHead;
  #state: State = "head";
  #fault: string | null = null;
  #head: AnswerHead | undefined;
  /** Of a head or line that has not ended: one character a byte. */
  #line = "";
  #headBytes = 0;
  #bodyBytes = 0;
  /** Of the body, or of the chunk that is being read. */
  #left = 0;
  #chunkPart: "size" | "data" | "end" | "trailer" = "size";
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #seenBytes = 0;
  #hasExcess = false;

  /** `parse`: one that may remember the connection's last head. */
  constructor(parse = parseHead) {
    this.#parse = parse;
  }

  get state(): State {
    return this.#state;
  }

  /** No more is wanted, or of use. */
  get isOver(): boolean {
    return this.#state !== "head" && this.#state !== "body";
  }

  /** Nothing at all has come. */
  get isUntouched(): boolean {
    return this.#headBytes === 0;
  }

  /** What was wrong with what came; null when nothing was. */
  get fault(): string | null {
    return this.#fault;
  }

  /** Of the answer itself; undefined until all of it is there. */
  get head(): AnswerHead | undefined {
    return this.#head;
  }

  /** The body's beginning, RESPONSE_KEPT_BYTES_MAX at most. */
  get kept(): Uint8Array {
    const [first] = this.#kept;
    return this.#kept.length === 1 && first !== undefined ? first : Buffer.concat(this.#kept);
  }

  /** The body was longer than what is kept. */
  get isLonger(): boolean {
    return this.#seenBytes > this.#keptBytes;
  }

  /** The connection may carry another request: this answer has ended, and nothing came after it. */
  get isReusable(): boolean {
    return this.#state === "complete" && this.#head?.isKeptAlive === true && !this.#hasExcess;
  }

  /** `bytes` are not looked at again after the call, but for those that are kept. */
  feed(bytes: Buffer): void {
    const rest = this.#state === "head" ? this.#feedHead(bytes) : bytes;
    if (rest === undefined || rest.length === 0) return;
    if (this.#state === "complete") {
      this.#hasExcess = true;
      return;
    }
    if (this.#state === "body") this.#feedBody(rest);
  }

  /** The receiver has ended the connection, in order or not. */
  end(isOrderly: boolean): void {
    if (this.isOver) return;
    if (this.#state === "body" && this.#head?.framing.kind === "until-close" && isOrderly) this.#state = "complete";
    else this.#state = "broken";
  }

  #refuse(fault: string): undefined {
    this.#state = "broken";
    this.#fault = fault;
  }

  /** What follows the head; undefined while it has not ended, or when nothing does. `bytes` become text once, however many heads they hold. */
  #feedHead(bytes: Buffer): Buffer | undefined {
    const before = this.#line.length;
    const text = this.#line + bytes.toString("latin1", 0, HEAD_BYTES_MAX + 1);
    let begin = 0;
    END_OF_HEAD.lastIndex = Math.max(0, before - 3);
    for (let end = END_OF_HEAD.exec(text); end !== null; end = END_OF_HEAD.exec(text)) {
      const next = end.index + end[0].length;
      this.#headBytes += next - Math.max(begin, before);
      if (this.#headBytes > HEAD_BYTES_MAX) return this.#refuse(TOO_LARGE);
      const head = this.#parse(text.slice(begin, end.index));
      // Nobody asked for another protocol.
      if (head === undefined || head.statusCode === 101) return this.#refuse(NO_HTTP);
      if (head.statusCode >= 200) {
        this.#begin(head);
        return next - before < bytes.length ? bytes.subarray(next - before) : undefined;
      }
      begin = next;
    }
    this.#headBytes += bytes.length - Math.max(0, begin - before);
    this.#line = text.slice(begin);
    if (!this.#line.startsWith(BEGINNING.slice(0, this.#line.length))) return this.#refuse(NO_HTTP);
    return this.#headBytes > HEAD_BYTES_MAX ? this.#refuse(TOO_LARGE) : undefined;
  }

  #begin(head: AnswerHead): void {
    this.#line = "";
    this.#head = head;
    this.#state = head.framing.kind === "none" ? "complete" : "body";
    if (head.framing.kind === "length") this.#left = head.framing.bytes;
  }

  #feedBody(bytes: Buffer): void {
    this.#bodyBytes += bytes.length;
    const framing = this.#head?.framing.kind;
    if (framing === "chunked") this.#feedChunks(bytes);
    else if (framing === "until-close") this.#keep(bytes);
    else {
      this.#hasExcess = this.#take(bytes) < bytes.length;
      if (this.#left === 0) this.#state = "complete";
    }
    if (this.#state === "body" && this.#bodyBytes > RESPONSE_READ_BYTES_MAX) this.#state = "cut";
  }

  /** Keeps as much of `bytes` as belongs to what is being read; says how much that was. */
  #take(bytes: Buffer): number {
    const count = Math.min(this.#left, bytes.length);
    this.#keep(bytes.subarray(0, count));
    this.#left -= count;
    return count;
  }

  #keep(bytes: Buffer): void {
    this.#seenBytes += bytes.length;
    const room = RESPONSE_KEPT_BYTES_MAX - this.#keptBytes;
    if (room <= 0 || bytes.length === 0) return;
    const kept = bytes.subarray(0, room);
    this.#kept.push(kept);
    this.#keptBytes += kept.length;
  }

  /** RFC 9112, section 7.1. */
  #feedChunks(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && this.#state === "body") {
      if (this.#chunkPart === "data") {
        at += this.#take(bytes.subarray(at));
        if (this.#left === 0) this.#chunkPart = "end";
        continue;
      }
      const end = bytes.indexOf(LF, at);
      this.#line += bytes.toString("latin1", at, end < 0 ? bytes.length : end);
      at = end < 0 ? bytes.length : end + 1;
      if (this.#line.length > LINE_BYTES_MAX) this.#refuse(NO_HTTP);
      else if (end >= 0) this.#endLine();
    }
    if (at < bytes.length) this.#hasExcess = true;
  }

  #endLine(): void {
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    this.#line = "";
    switch (this.#chunkPart) {
      case "size": {
        const size = CHUNK_SIZE.exec(line)?.[1];
        if (size === undefined) return this.#refuse(NO_HTTP);
        this.#left = Number.parseInt(size, 16);
        this.#chunkPart = this.#left === 0 ? "trailer" : "data";
        return;
      }
      case "end":
        if (line !== "") return this.#refuse(NO_HTTP);
        this.#chunkPart = "size";
        return;
      case "trailer":
        if (line === "") this.#state = "complete";
        return;
      case "data":
        return;
    }
  }
}

const BEGINNING = "HTTP/1.";
const END_OF_HEAD = /\r?\n\r?\n/g;
const LF = 0x0a;
/** Some pad it with zeros. */
const CHUNK_SIZE = /^([0-9a-f]{1,16})[ \t]*(?:;.*)?$/i;
const NO_HTTP = "the answer is not valid HTTP";
const TOO_LARGE = "the answer's headers are too large";
