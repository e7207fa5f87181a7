// How many deliveries of one endpoint and priority refill lets wait in a worker: as many as keep the endpoint busy until
// it looks again. More would only lie in memory, and would have to be handed back when that is full.

import { REFILL_AHEAD_MS, STREAM_MESSAGES_PER_SUBJECT_MAX } from "./limits.ts";

/** The next must be there when one ends. */
const DEPTH_MIN = 2;
/** What waits in a worker costs the server a report now and then; in the table it costs nothing. */
const WAIT_MAX_MS = 20_000;
/** Requests that have not ended for less than this may as well be answered: a busy worker has not looked yet. */
const STALLED_MIN_MS = 1_000;
/** Of an endpoint about which nothing is known: it may turn out to answer nothing at all. */
const DEPTH_UNKNOWN = 4;

/** How long an endpoint's requests take, milliseconds. */
export type RequestTimes = {
  /** The last one that ended; undefined: none has. */
  lastStepMs: number | undefined;
  /** Those under way, so far: none has ended for so long. */
  stalledMs: number;
};

/** Messages of a lane that should wait in a worker; `times` undefined: nothing is known of the endpoint. */
export function laneDepth(times: RequestTimes | undefined, maxInFlight: number): number {
  const served = Math.ceil((REFILL_AHEAD_MS / Math.max(requestMs(times), 1)) * maxInFlight);
  const depth = Math.min(STREAM_MESSAGES_PER_SUBJECT_MAX, Math.max(served, DEPTH_MIN * maxInFlight));
  return times?.lastStepMs === undefined ? Math.min(depth, DEPTH_UNKNOWN) : depth;
}

/** Whether one more message behind `waiting` others of its lane would wait here for so long that the table is its place. */
export function waitsTooLong(waiting: number, times: RequestTimes, maxInFlight: number): boolean {
  if (waiting < DEPTH_MIN || waiting < laneDepth(times, maxInFlight)) return false;
  return (waiting * requestMs(times)) / maxInFlight > WAIT_MAX_MS;
}

function requestMs(times: RequestTimes | undefined): number {
  const { lastStepMs = 0, stalledMs = 0 } = times ?? {};
  return stalledMs < STALLED_MIN_MS ? lastStepMs : Math.max(lastStepMs, stalledMs);
}
