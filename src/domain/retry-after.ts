// Retry-After as RFC 9110, section 10.2.3 has it: whole seconds or an HTTP date.

import { RETRY_AFTER_MAX_MS } from "./limits.ts";

/** Milliseconds from `nowMs`, at least 0 and at most 24 h; null for an absent or unreadable value. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, RETRY_AFTER_MAX_MS);
  const instant = Date.parse(presentForm(text, nowMs));
  if (Number.isNaN(instant)) return null;
  return Math.min(Math.max(0, instant - nowMs), RETRY_AFTER_MAX_MS);
}

/** Sun, 06 Nov 1994 08:49:37 GMT, and what a date that was turned into text without care looks like. */
const PRESENT = /^[A-Za-z]{3},? /;
/** Sunday, 06-Nov-94 08:49:37 GMT */
const RFC_850 = /^[A-Za-z]{6,9}, (\d\d)-([A-Za-z]{3})-(\d\d) (\d\d:\d\d:\d\d GMT)$/;
/** Sun Nov  6 08:49:37 1994, in GMT without saying so. */
const ASCTIME = /^[A-Za-z]{3} [A-Za-z]{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$/;

/** Of the three forms of section 5.6.7 the one that is still sent; "" for what is none of them. */
function presentForm(text: string, nowMs: number): string {
  if (ASCTIME.test(text)) return `${text} GMT`;
  if (PRESENT.test(text)) return text;
  const [, day, month, shortYear, time] = RFC_850.exec(text) ?? [];
  if (shortYear === undefined) return "";
  // More than 50 years ahead is the last century.
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = Math.floor(thisYear / 100) * 100 + Number(shortYear);
  return `${day} ${month} ${year > thisYear + 50 ? year - 100 : year} ${time}`;
}
