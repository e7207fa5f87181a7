// How many deliveries of one endpoint and priority refill lets wait in a worker: as many as keep the endpoint busy until
// it looks again. More would only lie in memory, and would have to be handed back when that is full.

import { REFILL_AHEAD_MS, STREAM_MESSAGES_PER_SUBJECT_MAX } from "./limits.ts";

/** The next must be there when one ends. */
const DEPTH_MIN = 2;
/** What waits in a worker costs the server a report now and then; in the table it costs nothing. */
const WAIT_MAX_MS = 20_000;
/** Of an endpoint about which nothing is known: it may turn out to answer nothing at all. */
const DEPTH_UNKNOWN = 4;

/** `requestMs`: how long the endpoint's last request took; undefined when that is not known. */
export function laneDepth(requestMs: number | undefined, maxInFlight: number): number {
  if (requestMs === undefined) return DEPTH_UNKNOWN;
  const served = Math.ceil((REFILL_AHEAD_MS / Math.max(requestMs, 1)) * maxInFlight);
  return Math.min(STREAM_MESSAGES_PER_SUBJECT_MAX, Math.max(served, DEPTH_MIN * maxInFlight));
}

/** Whether one more message behind `waiting` others of its lane would wait here for so long that the table is its place. */
export function waitsTooLong(waiting: number, requestMs: number | undefined, maxInFlight: number): boolean {
  if (waiting < laneDepth(requestMs, maxInFlight)) return false;
  return (waiting * (requestMs ?? 0)) / maxInFlight > WAIT_MAX_MS;
}
