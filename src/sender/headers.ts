// The headers of one attempt: the webhook's own first, then those that the contract promises.

import { type Checked, faultOfWebhookHeader, type WebhookUrl } from "../domain/webhook.ts";
import { sign } from "./signature.ts";

type Headed = {
  headers: Readonly<Record<string, string>>;
  secrets: readonly string[];
  eventId: string;
  payload: string;
};

/** Custom headers were checked when they were registered, and are again here: none may stand in for one of ours. */
export function requestHeaders(
  { headers, secrets, eventId, payload }: Headed,
  url: WebhookUrl,
  userAgent: string,
  nowMs: number,
): Checked<Record<string, string>> {
  if (secrets.length === 0) return { ok: false, fault: "the webhook has no signing secret" };
  for (const name in headers) {
    const fault = faultOfWebhookHeader(name, headers[name] ?? "");
    if (fault !== undefined) return { ok: false, fault: `the custom header ${JSON.stringify(name)} ${fault}` };
  }
  const timestampS = Math.floor(nowMs / 1_000);
  return {
    ok: true,
    value: {
      ...headers,
      host: url.authority,
      "content-type": "application/json",
      "user-agent": userAgent,
      // An answer is kept as text, and is never unpacked: a few kilobytes can hold gigabytes.
      "accept-encoding": "identity",
      "webhook-id": eventId,
      "webhook-timestamp": String(timestampS),
      "webhook-signature": sign(secrets, eventId, timestampS, payload),
    },
  };
}
