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

  test.each(["UTC", "America/New_York"])("reads the two older forms of a date, in GMT wherever this is: %s", (zone) => {
    const script = `import { retryAfterMs } from ${JSON.stringify(`${import.meta.dirname}/../../src/domain/retry-after.ts`)};
      const then = Date.UTC(1994, 10, 6, 8, 48, 37);
      console.log(JSON.stringify([
        retryAfterMs("Sun, 06 Nov 1994 08:49:37 GMT", then),
        retryAfterMs("Sunday, 06-Nov-94 08:49:37 GMT", then),
        retryAfterMs("Sun Nov  6 08:49:37 1994", then),
      ]));`;
    const { stdout } = Bun.spawnSync([process.execPath, "-e", script], { env: { ...process.env, TZ: zone } });
    expect(JSON.parse(stdout.toString())).toEqual([60_000, 60_000, 60_000]);
  });

  test("reads a date that says its zone in another way", () => {
    expect(retryAfterMs("Sun May 17 2026 12:00:05 GMT+0000 (UTC)", NOW)).toBe(5_000);
  });

  test("two digits of a year are of this century, unless that is more than 50 years ahead", () => {
    expect(retryAfterMs("Sunday, 17-May-26 12:00:05 GMT", NOW)).toBe(5_000);
    expect(retryAfterMs("Sunday, 17-May-76 12:00:05 GMT", NOW)).toBe(RETRY_AFTER_MAX_MS);
    expect(retryAfterMs("Sunday, 17-May-77 12:00:05 GMT", NOW)).toBe(0);
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
