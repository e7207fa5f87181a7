// The body of a delivery: made once, stored as text, and signed and sent byte for byte on every attempt.
//
// The instant is Postgres' now(), known only inside the statement that accepts the event. So a payload leaves here in
// pieces, and the statement joins them with the instant: `array_to_string(pieces, now)`.

import { type Json, jsonText, RawJson } from "../lib/json.ts";

export type PayloadPieces = readonly string[];

/** Where the payload is cut. JSON text never holds a bare NUL, so text from outside cannot be taken for it. */
const CUT = "\u0000";

/** Stands in `data` where the instant of acceptance belongs. */
export const INSTANT = new RawJson(`"${CUT}"`);

/** The pieces of `{"type", "timestamp", "data"}`; joined by the instant in quotes-free RFC 3339 they are the payload. */
export function payloadPieces(type: string, data: Json): PayloadPieces {
  return jsonText({ type, timestamp: INSTANT, data }).split(CUT);
}
