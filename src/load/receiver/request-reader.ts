// Reads HTTP/1.1 requests off one connection: just what a webhook's POST is made of, as fast as it can be done in
// JavaScript. Bodies have a Content-Length; anything else is refused.

export type IncomingRequest = {
  path: string;
  /** When its first byte came, milliseconds on the wall clock. */
  firstByteAt: number;
  /** Head and body, one character a byte. */
  text: string;
  bodyStart: number;
};

export class UnreadableRequestError extends Error {}

const HEAD_END = "\r\n\r\n";
const LENGTH_MAX = 2 * 1024 * 1024;

export class RequestReader {
  #pending = "";
  #firstByteAt = 0;

  /** The requests that `chunk`, read at `now`, completes. Throws UnreadableRequestError. */
  read(chunk: Buffer, now: number): IncomingRequest[] {
    if (this.#pending === "") this.#firstByteAt = now;
    let text = this.#pending + chunk.toString("latin1");
    const requests: IncomingRequest[] = [];
    for (;;) {
      const length = requestLength(text);
      if (length === undefined || text.length < length) break;
      requests.push(this.#request(text.slice(0, length)));
      text = text.slice(length);
      this.#firstByteAt = now;
    }
    this.#pending = text;
    return requests;
  }

  #request(text: string): IncomingRequest {
    const pathStart = text.indexOf(" ") + 1;
    return {
      path: text.slice(pathStart, text.indexOf(" ", pathStart)),
      firstByteAt: this.#firstByteAt,
      text,
      bodyStart: text.indexOf(HEAD_END) + HEAD_END.length,
    };
  }
}

/** The header's value; undefined when the request has no such header. `name` in lower case. */
export function headerOf(request: IncomingRequest, name: string): string | undefined {
  return headerIn(request.text, request.bodyStart, name);
}

/** Undefined while the head is not complete. */
function requestLength(text: string): number | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) {
    if (text.length > LENGTH_MAX) throw new UnreadableRequestError("a head without an end");
    return undefined;
  }
  const bodyStart = headEnd + HEAD_END.length;
  const length = Number(headerIn(text, bodyStart, "content-length"));
  if (!Number.isInteger(length) || length > LENGTH_MAX) throw new UnreadableRequestError("no fit Content-Length");
  return bodyStart + length;
}

function headerIn(text: string, headLength: number, name: string): string | undefined {
  // Lower case first, as they are mostly sent: a search that ignores case takes ten times as long.
  let at = text.indexOf(`\r\n${name}:`);
  if (at === -1 || at >= headLength) at = text.slice(0, headLength).toLowerCase().indexOf(`\r\n${name}:`);
  if (at === -1) return undefined;
  const start = at + name.length + 3;
  return text.slice(start, text.indexOf("\r\n", start)).trim();
}
