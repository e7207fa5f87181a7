// The one place that decides what becomes of a delivery after its turn, and what the stream is told: ack, nak or table.
// Always in this order: decide, record, and only then answer the stream.

import { retryDelayMs } from "../domain/backoff.ts";
import { type AttemptId, newId } from "../domain/ids.ts";
import { STREAM_RETRY_MAX_MS } from "../domain/limits.ts";
import { endpointHoldMs, type Outcome } from "../domain/outcome.ts";
import type { AttemptRecord, Place, TurnResult } from "../domain/turn-result.ts";
import type { Random } from "../lib/random.ts";
import { unreachable } from "../lib/unreachable.ts";
import type { Held } from "./ports.ts";

/** How a turn ended. */
export type Turn =
  /** `isCrowded`: when it came again, it would be handed back. */
  | { kind: "attempted"; outcome: Outcome; isCrowded: boolean }
  /** The webhook or its user is gone, or was switched off. */
  | { kind: "cancelled" }
  /** Older than its whole schedule. */
  | { kind: "expired" }
  /** Not its turn after all (the gate is shut, or the worker holds too much): back to the table, due as before. */
  | { kind: "handed_back" }
  /** The row says that this message is of the past: no row, not pending, another generation. */
  | { kind: "obsolete" }
  /** Not yet, or not here: the stream brings it again in `delayMs`, and the row is checked then. */
  | { kind: "postponed"; delayMs: number };

export type Decision = {
  /** What is to be recorded first; null: the row stays as it is. */
  result: TurnResult | null;
  answer: { kind: "ack" } | { kind: "nak"; delayMs: number };
};

export function decide(held: Held, turn: Turn, schedule: readonly number[], random: Random): Decision {
  switch (turn.kind) {
    case "attempted": {
      const place = placeAfter(held, turn, schedule, random);
      const attempt = attemptOf(held, turn.outcome);
      return {
        result: { ...identityOf(held), place, attempt, error: attempt.error },
        answer: place.kind === "stream" ? { kind: "nak", delayMs: place.delayMs } : { kind: "ack" },
      };
    }
    case "cancelled":
      return withoutAttempt(held, { kind: "completed", status: "cancelled" }, null);
    case "expired":
      return withoutAttempt(held, { kind: "completed", status: "failed" }, "expired: older than its whole schedule");
    case "handed_back":
      return withoutAttempt(held, { kind: "table", delayMs: null }, null);
    case "obsolete":
      return { result: null, answer: { kind: "ack" } };
    case "postponed":
      return { result: null, answer: { kind: "nak", delayMs: turn.delayMs } };
    default:
      return unreachable(turn);
  }
}

function placeAfter(
  { message, handle, tenure }: Held,
  { outcome, isCrowded }: Turn & { kind: "attempted" },
  schedule: readonly number[],
  random: Random,
): Place {
  if (outcome.kind === "accepted") return { kind: "completed", status: "delivered" };
  if (outcome.kind === "gone") return { kind: "completed", status: "failed" };
  const scheduledMs = retryDelayMs(schedule, message.attemptCount + 1 - message.scheduleBase, random);
  if (scheduledMs === undefined) return { kind: "completed", status: "failed" };
  const heldBackMs = endpointHoldMs(outcome) ?? 0;
  const delayMs = Math.max(scheduledMs, heldBackMs);
  // Long waits, those that a Retry-After asks for, and those behind many others are for the table.
  if (delayMs > STREAM_RETRY_MAX_MS || heldBackMs > 0 || isCrowded) return { kind: "table", delayMs };
  return { kind: "stream", seq: handle.seq, epoch: tenure.epoch, delayMs };
}

function withoutAttempt(held: Held, place: Place, error: string | null): Decision {
  return { result: { ...identityOf(held), place, attempt: null, error }, answer: { kind: "ack" } };
}

function identityOf({ message }: Held): Pick<TurnResult, "deliveryId" | "generation"> {
  return { deliveryId: message.deliveryId, generation: message.generation };
}

function attemptOf({ message }: Held, outcome: Outcome): AttemptRecord {
  return {
    id: newId<AttemptId>(),
    attempt: message.attemptCount + 1,
    statusCode: outcome.answer?.statusCode ?? null,
    latencyMs: Math.round(outcome.latencyMs),
    error: outcome.kind === "failed" ? outcome.error : outcome.kind === "gone" ? "HTTP 410: gone for good" : null,
    responseBody: outcome.answer?.responseBody ?? null,
  };
}

/** Back to the table, and due there as before. */
export function isHandedBack({ result }: Decision): boolean {
  return result?.place.kind === "table" && result.place.delayMs === null;
}

/** Tells the stream what was decided. Only after the record of it. */
export function answerStream({ tenure, handle }: Held, { answer }: Decision): void {
  // After a lost lease the result still counts, but the message is somebody else's to answer for.
  if (!tenure.isCurrent()) return;
  if (answer.kind === "ack") handle.ack();
  else handle.nak(answer.delayMs);
}
