import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { INSTANT, payloadPieces } from "../../src/domain/payload.ts";
import { RawJson } from "../../src/lib/json.ts";
import type { Json } from "../../src/lib/json.ts";

const NOW = "2026-05-17T12:00:00.000Z";
/** As the statement joins them: `array_to_string(pieces, now)`. */
const join = (type: string, data: Json) => payloadPieces(type, data).join(NOW);

describe("payloadPieces", () => {
  test("join to valid JSON with the type, the instant and the data, whatever the data holds", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        const parsed: unknown = JSON.parse(join("order.paid", data as Json));
        expect(parsed).toEqual({ type: "order.paid", timestamp: NOW, data: JSON.parse(JSON.stringify(data)) });
      }),
    );
  });

  test("put the instant wherever it belongs", () => {
    expect(JSON.parse(join("a", { created_at: INSTANT, n: [INSTANT] }))).toEqual({
      type: "a",
      timestamp: NOW,
      data: { created_at: NOW, n: [NOW] },
    });
  });

  test("pass the caller's text on as it is, and are not fooled by an escaped NUL in it", () => {
    const text = `{"z":1, "a":12345678901234567890, "nul":"\\u0000"}`;
    expect(join("a", new RawJson(text))).toBe(`{"type":"a","timestamp":"${NOW}","data":${text}}`);
    expect(join("a", { text: "\u0000" })).toContain(String.raw`"\u0000"`);
    expect(payloadPieces("a", { text: "\u0000" })).toHaveLength(2);
  });
});
