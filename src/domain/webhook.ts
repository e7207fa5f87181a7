// What a webhook may be made of, as far as its text alone can tell: the shape of its URL, its custom headers, its
// signing secrets. Where the URL leads is judged by sender/, at registration and again at every attempt.

import { WEBHOOK_HEADERS_MAX } from "./limits.ts";

/** `fault` is for the webhook's owner: a clause that follows the field's name ("must be ..."). */
export type Checked<Value> = { ok: true; value: Value } | { ok: false; fault: string };

/** Index rows and log lines hold it; nobody's real URL is longer. */
const WEBHOOK_URL_LENGTH_MAX = 2_048;

export type WebhookUrl = {
  scheme: "http" | "https";
  /** Lower case, no trailing dot; an IPv4 address in dotted decimals, an IPv6 address without brackets. */
  host: string;
  port: number;
  /** What the Host header says: the host, in brackets where they belong, and a port that is not the default. */
  authority: string;
  /** Path and query, percent-encoded. */
  path: string;
  /** The same for every spelling of the same URL. */
  key: string;
};

/**
 * Reads a URL as its owner wrote it. The raw text is looked at first: the URL parser silently drops tabs and line
 * ends, turns backslashes round, and forgives missing slashes (https://url.spec.whatwg.org/#concept-basic-url-parser).
 */
export function checkWebhookUrl(raw: string): Checked<WebhookUrl> {
  const fault = faultOfText(raw);
  if (fault !== undefined) return { ok: false, fault };
  if (!URL.canParse(raw)) return { ok: false, fault: "must be a valid URL: its host or port cannot be read" };
  const url = new URL(raw);
  const scheme = url.protocol === "https:" ? "https" : "http";
  const bracketed = url.hostname.replace(/\.$/, "");
  const host = bracketed.startsWith("[") ? bracketed.slice(1, -1) : bracketed;
  if (host === bracketed && !isHostName(host)) return { ok: false, fault: "must have a host name that can exist" };
  if (url.port === "0") return { ok: false, fault: "must not use port 0" };
  const authority = url.port === "" ? bracketed : `${bracketed}:${url.port}`;
  const port = url.port === "" ? DEFAULT_PORTS[scheme] : Number(url.port);
  const path = url.pathname + url.search;
  const key = `${scheme}://${authority}${path}`;
  if (key.length > WEBHOOK_URL_LENGTH_MAX) return { ok: false, fault: TOO_LONG };
  return { ok: true, value: { scheme, host, port, authority, path, key } };
}

const DEFAULT_PORTS = { http: 80, https: 443 };
const TOO_LONG = `must be at most ${WEBHOOK_URL_LENGTH_MAX} characters long, percent-encoded`;

function faultOfText(raw: string): string | undefined {
  if (raw.length > WEBHOOK_URL_LENGTH_MAX) return TOO_LONG;
  if (!raw.isWellFormed()) return "must be well-formed Unicode";
  // oxlint-disable-next-line no-control-regex
  if (/[\s\u0000-\u001f\u007f-\u009f]/.test(raw)) return "must not contain spaces, line breaks or control characters";
  if (raw.includes("\\")) return "must not contain a backslash";
  const authority = /^https?:\/\/([^/?#]+)/i.exec(raw)?.[1];
  if (authority === undefined) return "must start with http:// or https:// and name a host";
  if (authority.includes("@")) return "must not contain a user name or password: use a custom header instead";
  return undefined;
}

/** Labels of letters, digits, hyphens and underscores (RFC 1035 and what is found in the wild), punycode included. */
function isHostName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host);
}

const WEBHOOK_HEADER_NAME_LENGTH_MAX = 128;
const WEBHOOK_HEADER_VALUE_LENGTH_MAX = 1_024;

/** Headers that frame the message or that the signature and the contract rely on. */
const OURS = new Set(
  `accept-encoding connection content-encoding content-length content-type expect host http2-settings keep-alive te
   trailer transfer-encoding upgrade user-agent`.split(/\s+/),
);

/** Why a custom header may not be sent; undefined when it may. */
export function faultOfWebhookHeader(name: string, value: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(name)) return "must have a valid header name (RFC 9110: letters, digits, -)";
  if (name.length > WEBHOOK_HEADER_NAME_LENGTH_MAX) {
    return `must have a name of at most ${WEBHOOK_HEADER_NAME_LENGTH_MAX} characters`;
  }
  const lower = name.toLowerCase();
  if (OURS.has(lower) || /^(webhook-|proxy-)/.test(lower)) return "may not be set: the service sets it itself";
  if (value.length > WEBHOOK_HEADER_VALUE_LENGTH_MAX) {
    return `must have a value of at most ${WEBHOOK_HEADER_VALUE_LENGTH_MAX} characters`;
  }
  if (!/^([!-~]([ -~]*[!-~])?)?$/.test(value)) return "must have a value of printable ASCII, without spaces around it";
  return undefined;
}

/** Every fault of a webhook's custom headers, each under its header's name; none when all may be sent. */
export function checkWebhookHeaders(headers: Readonly<Record<string, string>>): { name: string; fault: string }[] {
  const names = Object.keys(headers);
  if (names.length > WEBHOOK_HEADERS_MAX)
    return [{ name: "", fault: `must be at most ${WEBHOOK_HEADERS_MAX} headers` }];
  const seen = new Set<string>();
  return names.flatMap((name) => {
    const fault = seen.has(name.toLowerCase())
      ? "is there twice (upper and lower case are the same)"
      : faultOfWebhookHeader(name, headers[name] ?? "");
    seen.add(name.toLowerCase());
    return fault === undefined ? [] : [{ name, fault }];
  });
}

const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = 32;
/** From the Standard Webhooks specification: between 24 and 64 bytes. */
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;

export const WEBHOOK_SECRET_RULE = "must be whsec_ followed by the padded base64 of 24 to 64 bytes";

export function newWebhookSecret(): string {
  return SECRET_PREFIX + Buffer.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES))).toString("base64");
}

/** Canonical base64 only, for the verifying libraries decode strictly. */
export function isWebhookSecret(text: string): boolean {
  if (!text.startsWith(SECRET_PREFIX) || text.length > 128) return false;
  const key = keyOfWebhookSecret(text);
  if (key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX) return false;
  return key.toString("base64") === text.slice(SECRET_PREFIX.length);
}

/** The bytes that sign. */
export function keyOfWebhookSecret(secret: string): Buffer {
  return Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
}
