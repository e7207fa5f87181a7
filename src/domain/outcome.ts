// What became of one attempt, as data that says at which stage it ended. delivery/settle.ts turns it into a decision.

export type FailureStage =
  | "webhook" // the webhook's own settings make a request impossible
  | "resolve" // its name has no address
  | "blocked" // its address may not be reached
  | "connect" // no connection, or TLS refused
  | "timeout"
  | "response"; // an answer came, and it was not 2xx

export type Answer = {
  statusCode: number;
  /** The first bytes of the answer's body as text; null when there were none. */
  responseBody: string | null;
  /** From the answer's Retry-After, milliseconds from its arrival; null when it named none. */
  retryAfterMs: number | null;
};

export type Outcome =
  | { kind: "accepted"; answer: Answer; latencyMs: number }
  | { kind: "gone"; answer: Answer; latencyMs: number }
  | { kind: "failed"; stage: FailureStage; error: string; answer: Answer | null; latencyMs: number };

/** Sorts a receiver's answer: 2xx accepted, 410 gone, everything else (redirects too) failed. */
export function outcomeOfAnswer(answer: Answer, latencyMs: number): Outcome {
  if (answer.statusCode >= 200 && answer.statusCode < 300) return { kind: "accepted", answer, latencyMs };
  if (answer.statusCode === 410) return { kind: "gone", answer, latencyMs };
  return failureOf(answer, latencyMs);
}

/** An answer that ends nothing for good. */
export function failureOf(answer: Answer, latencyMs: number): Outcome {
  const error = isRedirect(answer.statusCode)
    ? `HTTP ${answer.statusCode}: redirects are not followed`
    : `HTTP ${answer.statusCode}`;
  return { kind: "failed", stage: "response", error, answer, latencyMs };
}

/** For how long the receiver wants nothing at all: a 429 or a 503 that names a time. Null: it did not say. */
export function endpointHoldMs(outcome: Outcome): number | null {
  if (outcome.kind !== "failed" || outcome.answer === null) return null;
  const { statusCode, retryAfterMs } = outcome.answer;
  return statusCode === 429 || statusCode === 503 ? retryAfterMs : null;
}

function isRedirect(statusCode: number): boolean {
  return statusCode >= 300 && statusCode < 400;
}
