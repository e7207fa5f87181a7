// Which lane of the stream a delivery travels in.

import { LARGE_ACCOUNT_SUBSCRIBERS } from "./limits.ts";

export const PRIORITIES = ["high", "normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Turns of each lane in a round: none starves, and an idle one's turns go to the others. */
export const PRIORITY_WEIGHTS: Record<Priority, number> = { high: 8, normal: 4, low: 1 };

/** Small accounts travel in `high`; one with a large list would otherwise fill that lane. */
export function priorityOfAccount(subscribers: number): Priority {
  return subscribers > LARGE_ACCOUNT_SUBSCRIBERS ? "normal" : "high";
}

/** A caller may lower its account's lane, never raise it. */
export function loweredPriority(ofAccount: Priority, wanted: Priority | undefined): Priority {
  if (wanted === undefined) return ofAccount;
  return PRIORITIES.indexOf(wanted) > PRIORITIES.indexOf(ofAccount) ? wanted : ofAccount;
}
