// Retry-After as RFC 9110, section 10.2.3 has it: whole seconds or an HTTP date.

import { RETRY_AFTER_MAX_MS } from "./limits.ts";

/** Milliseconds from `nowMs`, at least 0 and at most 24 h; null for an absent or unreadable value. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, RETRY_AFTER_MAX_MS);
  if (!/^[A-Za-z]{3},? /.test(text)) return null;
  const instant = Date.parse(text);
  if (Number.isNaN(instant)) return null;
  return Math.min(Math.max(0, instant - nowMs), RETRY_AFTER_MAX_MS);
}
