import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  afterOutcome,
  type Circuit,
  CLOSED,
  countsAgainstCircuit,
  FAILURES_TO_OPEN,
  OPEN_MAX_MS,
  OPEN_MIN_MS,
} from "../../src/domain/circuit.ts";
import type { FailureStage, Outcome } from "../../src/domain/outcome.ts";

const accepted: Outcome = {
  kind: "accepted",
  answer: { statusCode: 200, responseBody: null, retryAfterMs: null },
  latencyMs: 1,
};
const failedAt = (stage: FailureStage, statusCode?: number): Outcome => ({
  kind: "failed",
  stage,
  error: "it failed",
  answer: statusCode === undefined ? null : { statusCode, responseBody: null, retryAfterMs: null },
  latencyMs: 1,
});
/** One after the other: each that begins while the circuit is open is a probe. */
const after = (circuit: Circuit, ...outcomes: Outcome[]): Circuit =>
  outcomes.reduce((before, outcome) => afterOutcome(before, outcome, before.isOpen).circuit, circuit);
const inARow = (count: number): Outcome[] => Array.from({ length: count }, () => failedAt("response", 500));

describe("what counts against a circuit", () => {
  test.each([
    ["a timeout", failedAt("timeout")],
    ["no connection", failedAt("connect")],
    ["no address", failedAt("resolve")],
    ["a 429", failedAt("response", 429)],
    ["a 503", failedAt("response", 503)],
  ])("%s does", (_, outcome) => expect(countsAgainstCircuit(outcome)).toBe(true));

  test.each([
    ["a success", accepted],
    ["a 404", failedAt("response", 404)],
    ["a redirect", failedAt("response", 302)],
    ["a blocked address", failedAt("blocked")],
    ["settings that make a request impossible", failedAt("webhook")],
  ])("%s does not", (_, outcome) => expect(countsAgainstCircuit(outcome)).toBe(false));
});

describe("a circuit", () => {
  test("opens after so many failures in a row, and not before", () => {
    expect(after(CLOSED, ...inARow(FAILURES_TO_OPEN - 1)).isOpen).toBe(false);
    expect(after(CLOSED, ...inARow(FAILURES_TO_OPEN)).isOpen).toBe(true);
    expect(after(CLOSED, ...inARow(FAILURES_TO_OPEN - 1), accepted, ...inARow(FAILURES_TO_OPEN - 1)).isOpen).toBe(
      false,
    );
  });

  test("is shut twice as long after each probe that fails, up to its bound", () => {
    let circuit = after(CLOSED, ...inARow(FAILURES_TO_OPEN - 1));
    const times: number[] = [];
    for (let opening = 0; opening < 12; opening += 1) {
      const { circuit: next, shutForMs } = afterOutcome(circuit, failedAt("timeout"), circuit.isOpen);
      times.push(shutForMs);
      circuit = next;
    }
    expect(times.slice(0, 4)).toEqual([OPEN_MIN_MS, OPEN_MIN_MS * 2, OPEN_MIN_MS * 4, OPEN_MIN_MS * 8]);
    expect(times.at(-1)).toBe(OPEN_MAX_MS);
  });

  test("closes for good at the first answer that does not count against it", () => {
    const open = after(CLOSED, ...inARow(FAILURES_TO_OPEN + 3));
    expect(after(open, accepted)).toEqual(CLOSED);
    expect(after(open, failedAt("response", 404))).toEqual(CLOSED);
  });

  test("is opened once by any number of requests that fail together, each for the shortest time", () => {
    fc.assert(
      fc.property(fc.integer({ min: FAILURES_TO_OPEN, max: 100 }), fc.nat({ max: 20 }), (together, probes) => {
        let circuit = CLOSED;
        let shutForMs = 0;
        const fail = (isProbe: boolean) => {
          const next = afterOutcome(circuit, failedAt("timeout"), isProbe);
          circuit = next.circuit;
          shutForMs = Math.max(shutForMs, next.shutForMs);
        };
        for (let request = 0; request < together; request += 1) fail(false);
        expect(circuit).toMatchObject({ isOpen: true, openings: 1 });
        expect(shutForMs).toBe(OPEN_MIN_MS);
        for (let probe = 0; probe < probes; probe += 1) {
          fail(true);
          fail(false);
        }
        expect(circuit.openings).toBe(1 + probes);
        expect(shutForMs).toBe(Math.min(OPEN_MIN_MS * 2 ** probes, OPEN_MAX_MS));
      }),
    );
  });
});
