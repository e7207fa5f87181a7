// What a receiver's answer says, as text that can be stored.

import { RESPONSE_KEPT_BYTES_MAX } from "../domain/limits.ts";
import type { AnswerReader } from "./answer-reader.ts";

export type Body = {
  /** The beginning as text; null when there was none. */
  text: string | null;
  /** `cut`: more came than is read. `broken`: the connection ended first, or what came was no HTTP. */
  end: "complete" | "cut" | "broken";
  /** What was no HTTP, when that is why it is broken. */
  fault: string | null;
};

const NOTHING: Body = { text: null, end: "complete", fault: null };

/** Of a reader that is over. */
export function bodyOf({ state, kept, isLonger, fault }: AnswerReader): Body {
  if (state === "complete" && kept.length === 0) return NOTHING;
  return {
    text: kept.length === 0 ? null : storableText(kept, isLonger),
    end: state === "complete" || state === "cut" ? state : "broken",
    fault,
  };
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
