// Reads a receiver's answer within bounds: so much is read, less is kept, and what is kept can be stored as text.

import { RESPONSE_KEPT_BYTES_MAX, RESPONSE_READ_BYTES_MAX } from "../domain/limits.ts";

export type Body = {
  /** The beginning as text; null when there was none. */
  text: string | null;
  /** `cut`: more came than is read. `broken`: the connection ended first, or what came was no HTTP. */
  end: "complete" | "cut" | "broken";
};

const NOTHING: Body = { text: null, end: "complete" };

/** At once when there is nothing to read. Never rejects. Unless it is complete, the caller drops the connection. */
export function readBody(response: Response): Body | Promise<Body> {
  const length = response.headers.get("content-length");
  if (length === "0" || response.status === 204) return NOTHING;
  if (length !== null && Number(length) <= RESPONSE_READ_BYTES_MAX) return readShort(response);
  // Only now: asking for the body makes a stream of it, which costs as much as all the rest.
  return response.body === null ? NOTHING : readStream(response.body);
}

async function readStream(body: ReadableStream<Uint8Array>): Promise<Body> {
  const reader = body.getReader();
  const kept: Uint8Array[] = [];
  let readBytes = 0;
  let end: Body["end"] = "complete";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (readBytes < RESPONSE_KEPT_BYTES_MAX) kept.push(value.subarray(0, RESPONSE_KEPT_BYTES_MAX - readBytes));
      readBytes += value.length;
      if (readBytes > RESPONSE_READ_BYTES_MAX) {
        end = "cut";
        break;
      }
    }
  } catch {
    end = "broken";
  }
  if (readBytes === 0) return { text: null, end };
  return { text: storableText(joined(kept), readBytes > RESPONSE_KEPT_BYTES_MAX), end };
}

/** A body whose announced length is within bounds: the client holds it to that length. */
async function readShort(response: Response): Promise<Body> {
  try {
    const bytes = await response.bytes();
    if (bytes.length === 0) return NOTHING;
    const isCut = bytes.length > RESPONSE_KEPT_BYTES_MAX;
    return { text: storableText(bytes.subarray(0, RESPONSE_KEPT_BYTES_MAX), isCut), end: "complete" };
  } catch {
    return { text: null, end: "broken" };
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

/**
 * Bytes from a stranger as text that Postgres takes: what is no UTF-8, and U+0000, becomes U+FFFD; a character that
 * `isCut` has halved at the end is left out. At most RESPONSE_KEPT_BYTES_MAX bytes as UTF-8.
 */
export function storableText(bytes: Uint8Array, isCut: boolean): string {
  const text = decode(bytes, isCut).replaceAll("\0", "\uFFFD");
  if (Buffer.byteLength(text) <= RESPONSE_KEPT_BYTES_MAX) return text;
  // Replacing made it longer.
  return decode(Buffer.from(text).subarray(0, RESPONSE_KEPT_BYTES_MAX), true);
}

/** A byte order mark is kept like any other character. */
const wholeDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

function decode(bytes: Uint8Array, isCut: boolean): string {
  // In a stream the halved character would be waited for, so a decoder that has been cut off is not used again.
  return isCut
    ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true })
    : wholeDecoder.decode(bytes);
}
