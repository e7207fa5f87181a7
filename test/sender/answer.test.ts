// What a stranger answers becomes text that can be stored.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { RESPONSE_KEPT_BYTES_MAX } from "../../src/domain/limits.ts";
import { storableText } from "../../src/sender/answer.ts";

test("whatever the bytes, the text is well-formed, without NUL, and short enough", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: RESPONSE_KEPT_BYTES_MAX, size: "max" }), fc.boolean(), (bytes, isCut) => {
      const text = storableText(bytes, isCut);
      expect(text.isWellFormed()).toBe(true);
      expect(text).not.toContain("\0");
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(RESPONSE_KEPT_BYTES_MAX);
    }),
  );
});

test("text is kept as it is; only a cut leaves half a character out", () => {
  const text = "\uFEFFZoë 🎉";
  const bytes = Buffer.from(text);
  expect(storableText(bytes, false)).toBe(text);
  expect(storableText(bytes.subarray(0, -1), true)).toBe("\uFEFFZoë ");
  expect(storableText(bytes.subarray(0, -1), false)).toBe("\uFEFFZoë \uFFFD");
  expect(storableText(bytes, false)).toBe(text);
});
