// The head of an HTTP/1 answer (RFC 9112): its status, and the few headers that an attempt needs.

/** How the end of a body is known. */
export type Framing = { kind: "none" | "chunked" | "until-close" } | { kind: "length"; bytes: number };

export type AnswerHead = {
  statusCode: number;
  framing: Framing;
  /** The receiver keeps the connection for another request. */
  isKeptAlive: boolean;
  /** For how long, as it says; null when it does not. */
  keptAliveS: number | null;
  /** Retry-After as it stands. */
  retryAfter: string | null;
};

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?:[ \r]|$)/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const WANTED = new Set(["content-length", "transfer-encoding", "connection", "keep-alive", "retry-after"]);

/** `text`: status line and headers, without the empty line after them, one character a byte. Undefined: no HTTP. */
export function parseHead(text: string): AnswerHead | undefined {
  const [statusLine = "", ...headerLines] = unfolded(text).split("\n");
  const [, version, status] = STATUS_LINE.exec(statusLine) ?? [];
  const headers = wantedOf(headerLines);
  if (status === undefined || headers === undefined) return undefined;
  const length = lengthOf(headers.get("content-length"));
  if (length === "unclear") return undefined;
  const statusCode = Number(status);
  const encoding = headers.get("transfer-encoding")?.toLowerCase();
  const framing = framingOf(statusCode, encoding, length);
  const options =
    headers
      .get("connection")
      ?.toLowerCase()
      .split(/[\s,]+/) ?? [];
  const isPersistent = !options.includes("close") && (version === "1" || options.includes("keep-alive"));
  // Length and chunks at once are an attempt to smuggle, or a mistake: such a connection ends (section 6.1).
  // Where a body is announced but cannot be (204), it may come all the same, and look like the next answer.
  const hasOneEnd = encoding === undefined || length === undefined;
  const hasNoBody = encoding === undefined && (length ?? 0) === 0;
  const isClear = framing.kind === "none" ? hasNoBody : framing.kind !== "until-close" && hasOneEnd;
  const timeout = /(?:^|[\s,])timeout=(\d{1,6})/i.exec(headers.get("keep-alive") ?? "")?.[1];
  return {
    statusCode,
    framing,
    isKeptAlive: isPersistent && isClear,
    keptAliveS: timeout === undefined ? null : Number(timeout),
    retryAfter: headers.get("retry-after") ?? null,
  };
}

/** Longer heads are read anew: thousands of connections remember one. */
const REMEMBERED_MAX = 1_024;

/** `parseHead` for one connection, whose receiver often says the same twice within a second, Date included. */
export function createHeadParser(): typeof parseHead {
  let last = { text: "", head: parseHead("") };
  return (text) => {
    if (text === last.text) return last.head;
    const head = parseHead(text);
    // A copy: a part of a text holds on to the whole of it.
    if (text.length <= REMEMBERED_MAX) last = { text: Buffer.from(text, "latin1").toString("latin1"), head };
    return head;
  };
}

/** A line that begins with a space goes on with the one before it (obs-fold, section 5.2). */
function unfolded(text: string): string {
  return /\n[ \t]/.test(text) ? text.replaceAll(/\r?\n[ \t]+/g, " ") : text;
}

/** By lower-case name; what is there more than once is joined by commas (RFC 9110, section 5.3). */
function wantedOf(lines: readonly string[]): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!HEADER_NAME.test(name)) return undefined;
    if (!WANTED.has(name)) continue;
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

/** Said twice, it must be the same (section 6.3). Longer numbers are no length that anybody sends. */
function lengthOf(header: string | undefined): number | undefined | "unclear" {
  if (header === undefined) return undefined;
  const [first = "", ...others] = header.split(",").map((said) => said.trim());
  return /^\d{1,15}$/.test(first) && others.every((other) => other === first) ? Number(first) : "unclear";
}

/** RFC 9112, section 6.3. */
function framingOf(statusCode: number, encoding: string | undefined, length: number | undefined): Framing {
  if (statusCode < 200 || statusCode === 204 || statusCode === 304) return { kind: "none" };
  if (encoding !== undefined) return { kind: /(^|[\s,])chunked$/.test(encoding) ? "chunked" : "until-close" };
  if (length === undefined) return { kind: "until-close" };
  return length === 0 ? { kind: "none" } : { kind: "length", bytes: length };
}
