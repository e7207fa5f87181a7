// The body of a delivery: made once, stored as text, and signed and sent byte for byte on every attempt.
//
// The instant is Postgres' now(), known only inside the statement that accepts the event. So a payload leaves here in
// pieces, and the statement joins them with the instant: `array_to_string(pieces, now)`.

export type PayloadPieces = readonly string[];

/** Stands in `data` where the instant of acceptance belongs. Only we construct it; text from outside never equals it. */
export const INSTANT = Symbol("the instant of acceptance");

type Json =
  string | number | boolean | null | typeof INSTANT | RawJson | readonly Json[] | { readonly [key: string]: Json };

/** JSON text that goes into the payload as it is, so that a caller's numbers and key order survive. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The pieces of `{"type", "timestamp", "data"}`; joined by the instant in quotes-free RFC 3339 they are the payload. */
export function payloadPieces(type: string, data: Json): PayloadPieces {
  const pieces: string[] = [""];
  const write = (text: string): void => {
    pieces[pieces.length - 1] += text;
  };
  write(`{"type":${JSON.stringify(type)},"timestamp":"`);
  pieces.push(`","data":`);
  writeJson(data, write, () => pieces.push(""));
  write("}");
  return pieces;
}

function writeJson(value: Json, write: (text: string) => void, cut: () => void): void {
  if (value === INSTANT) {
    write('"');
    cut();
    write('"');
  } else if (value instanceof RawJson) write(value.text);
  else if (isList(value)) {
    write("[");
    value.forEach((item, index) => {
      if (index > 0) write(",");
      writeJson(item, write, cut);
    });
    write("]");
  } else if (typeof value === "object" && value !== null) {
    write("{");
    Object.entries(value).forEach(([key, item], index) => {
      if (index > 0) write(",");
      write(`${JSON.stringify(key)}:`);
      writeJson(item, write, cut);
    });
    write("}");
  } else write(JSON.stringify(value));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
