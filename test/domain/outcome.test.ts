import { expect, test } from "bun:test";
import { endpointHoldMs, outcomeOfAnswer } from "../../src/domain/outcome.ts";

const answer = (statusCode: number, retryAfterMs: number | null = null) => ({
  statusCode,
  responseBody: null,
  retryAfterMs,
});

test("2xx is accepted, 410 gone, and everything else a failure that says why", () => {
  for (const code of [200, 201, 204, 299]) expect(outcomeOfAnswer(answer(code), 1).kind).toBe("accepted");
  expect(outcomeOfAnswer(answer(410), 1).kind).toBe("gone");
  for (const code of [300, 302, 308, 400, 404, 429, 500, 503]) {
    expect(outcomeOfAnswer(answer(code), 1)).toMatchObject({ kind: "failed", stage: "response" });
  }
  expect(outcomeOfAnswer(answer(302), 1)).toMatchObject({ error: "HTTP 302: redirects are not followed" });
  expect(outcomeOfAnswer(answer(500), 1)).toMatchObject({ error: "HTTP 500" });
});

test("only a 429 or a 503 holds its whole endpoint back", () => {
  const heldBackMs = (code: number) => endpointHoldMs(outcomeOfAnswer(answer(code, 5_000), 1));
  expect([429, 503].map(heldBackMs)).toEqual([5_000, 5_000]);
  expect([200, 301, 400, 410, 500, 502].map(heldBackMs)).toEqual([null, null, null, null, null, null]);
  expect(endpointHoldMs(outcomeOfAnswer(answer(503), 1))).toBe(null);
});
