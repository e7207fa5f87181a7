import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RETRY_AFTER_MAX_MS } from "../../src/domain/limits.ts";
import { retryAfterMs } from "../../src/domain/retry-after.ts";

const NOW = Date.UTC(2026, 4, 17, 12, 0, 0);
const httpDate = (ms: number) => new Date(ms).toUTCString();

describe("retryAfterMs", () => {
  test("reads seconds, and believes no more than a day", () => {
    fc.assert(
      fc.property(fc.nat(), (seconds) => {
        expect(retryAfterMs(` ${seconds} `, NOW)).toBe(Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS));
      }),
    );
  });

  test("reads a date relative to now; one that has passed is now", () => {
    fc.assert(
      fc.property(fc.integer({ min: -200_000, max: 200_000 }), (seconds) => {
        const expected = Math.min(Math.max(0, seconds * 1_000), RETRY_AFTER_MAX_MS);
        expect(retryAfterMs(httpDate(NOW + seconds * 1_000), NOW)).toBe(expected);
      }),
    );
  });

  test.each([null, "", "soon", "-5", "1.5", "1e3", "2026-05-17", "Someday, 99 Foo 2026", "0x10"])(
    "does not believe %p",
    (header) => {
      expect(retryAfterMs(header, NOW)).toBe(null);
    },
  );

  test("is a number within bounds, or null, for any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ms = retryAfterMs(text, NOW);
        if (ms !== null) expect(ms >= 0 && ms <= RETRY_AFTER_MAX_MS).toBe(true);
      }),
    );
  });
});
