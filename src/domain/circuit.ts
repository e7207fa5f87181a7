// The circuit of an endpoint: after several failures in a row nothing is sent for a while, and then one delivery at a
// time finds out whether the receiver is back.
//
//   closed ──5 failures in a row──► open ──its time is over──► half-open ──the probe gets an answer──► closed
//                                    ▲                             │
//                                    └── the probe fails: the next time is twice as long, up to 5 min ──┘
//
// Requests that were under way when it opened change nothing by failing: they say no more than those that opened it.
// "Half-open" is an open circuit whose gate has opened: no event marks it, so nothing needs to be stored for it.

import type { Outcome } from "./outcome.ts";

export const FAILURES_TO_OPEN = 5;
export const OPEN_MIN_MS = 1_000;
export const OPEN_MAX_MS = 5 * 60_000;

export type Circuit = {
  isOpen: boolean;
  /** Failures in a row. */
  failures: number;
  /** How often it has opened since it was last closed. */
  openings: number;
};

export const CLOSED: Circuit = { isOpen: false, failures: 0, openings: 0 };

/** Timeouts, connection errors, 429 and 5xx: the receiver, not this delivery, is in trouble. */
export function countsAgainstCircuit(outcome: Outcome): boolean {
  if (outcome.kind !== "failed") return false;
  switch (outcome.stage) {
    case "timeout":
    case "connect":
    case "resolve":
      return true;
    case "response": {
      const status = outcome.answer?.statusCode ?? 0;
      return status === 429 || status >= 500;
    }
    case "blocked":
    case "webhook":
      return false;
    default:
      return outcome.stage satisfies never;
  }
}

/** The circuit after an attempt, and for how long its gate is shut from now on (0: not because of this). */
export function afterOutcome(
  before: Circuit,
  outcome: Outcome,
  isProbe: boolean,
): { circuit: Circuit; shutForMs: number } {
  if (!countsAgainstCircuit(outcome)) return { circuit: CLOSED, shutForMs: 0 };
  if (before.isOpen && !isProbe) return { circuit: before, shutForMs: 0 };
  const failures = before.failures + 1;
  if (!before.isOpen && failures < FAILURES_TO_OPEN) return { circuit: { ...before, failures }, shutForMs: 0 };
  const shutForMs = Math.min(OPEN_MIN_MS * 2 ** before.openings, OPEN_MAX_MS);
  return { circuit: { isOpen: true, failures, openings: before.openings + 1 }, shutForMs };
}
