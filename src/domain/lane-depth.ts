// How many deliveries of one endpoint and priority refill lets wait in a worker: as many as keep the endpoint busy until
// it looks again. More would only lie in memory, and would have to be handed back when that is full.

import { REFILL_AHEAD_MS, STREAM_MESSAGES_PER_SUBJECT_MAX } from "./limits.ts";

/** The next must be there when one ends. */
const DEPTH_MIN = 2;
/** Of an endpoint about which nothing is known: it may turn out to answer nothing at all. */
const DEPTH_UNKNOWN = 4;

/** `requestMs`: how long the endpoint's last request took; undefined when that is not known. */
export function laneDepth(requestMs: number | undefined, maxInFlight: number): number {
  if (requestMs === undefined) return DEPTH_UNKNOWN;
  const served = Math.ceil((REFILL_AHEAD_MS / Math.max(requestMs, 1)) * maxInFlight);
  return Math.min(STREAM_MESSAGES_PER_SUBJECT_MAX, Math.max(served, DEPTH_MIN * maxInFlight));
}
