// Standard Webhooks signatures (https://github.com/standard-webhooks/standard-webhooks, symmetric): HMAC-SHA256 over
// id, timestamp and body, joined by full stops; one `v1,` per live secret, so that secrets can be rotated.

import { keyOfWebhookSecret } from "../domain/webhook.ts";

/** `timestampS`: whole seconds since the Unix epoch. The value of the header webhook-signature. */
export function sign(secrets: readonly string[], id: string, timestampS: number, payload: string): string {
  const signedBefore = `${id}.${timestampS}.`;
  return secrets.map((secret) => `v1,${hmac(secret, signedBefore, payload)}`).join(" ");
}

function hmac(secret: string, before: string, payload: string): string {
  return new Bun.CryptoHasher("sha256", keyOfWebhookSecret(secret)).update(before).update(payload).digest("base64");
}
