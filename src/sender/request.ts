// The request of one attempt as it goes over the line (HTTP/1.1, RFC 9112): the headers that the contract promises, the
// webhook's own, the body.

import { type Checked, faultOfWebhookHeader, type WebhookUrl } from "../domain/webhook.ts";
import { sign } from "./signature.ts";

type Signed = {
  headers: Readonly<Record<string, string>>;
  secrets: readonly string[];
  eventId: string;
  payload: string;
};

/** Custom headers were checked when they were registered, and are again here: none may stand in for one of ours. */
export function requestMessage(
  { headers, secrets, eventId, payload }: Signed,
  url: WebhookUrl,
  userAgent: string,
  nowMs: number,
): Checked<string> {
  if (secrets.length === 0) return { ok: false, fault: "the webhook has no signing secret" };
  let custom = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    const fault = faultOfWebhookHeader(name, value);
    if (fault !== undefined) return { ok: false, fault: `the custom header ${JSON.stringify(name)} ${fault}` };
    custom += `${name}: ${value}\r\n`;
  }
  const timestampS = Math.floor(nowMs / 1_000);
  return {
    ok: true,
    // An answer is kept as text, and is never unpacked: a few kilobytes can hold gigabytes.
    value: `POST ${url.path} HTTP/1.1\r
host: ${url.authority}\r
content-type: application/json\r
content-length: ${Buffer.byteLength(payload)}\r
user-agent: ${userAgent}\r
accept-encoding: identity\r
webhook-id: ${eventId}\r
webhook-timestamp: ${timestampS}\r
webhook-signature: ${sign(secrets, eventId, timestampS, payload)}\r
${custom}\r
${payload}`,
  };
}
