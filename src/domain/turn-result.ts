// What a delivery's turn has come to, as it is recorded.

import type { AttemptId, DeliveryId } from "./ids.ts";

/** Where a delivery is after its turn. */
export type Place =
  | { kind: "completed"; status: "delivered" | "failed" | "cancelled" }
  /** Stays in the stream under its own message, due again in `delayMs`. */
  | { kind: "stream"; seq: number; epoch: number; delayMs: number }
  /** Back in the table with the next generation; `delayMs` null: due as before. */
  | { kind: "table"; delayMs: number | null };

export type AttemptRecord = {
  id: AttemptId;
  attempt: number;
  statusCode: number | null;
  latencyMs: number;
  error: string | null;
  responseBody: string | null;
};

export type TurnResult = {
  deliveryId: DeliveryId;
  /** The delivery's, when its turn began: the fence. */
  generation: number;
  place: Place;
  /** What the delivery says of its last turn; null leaves it as it is, or clears it when there was an attempt. */
  error: string | null;
  /** null: the turn ended without a request. */
  attempt: AttemptRecord | null;
};
