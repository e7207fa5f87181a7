// Standard Webhooks signatures (https://github.com/standard-webhooks/standard-webhooks, symmetric): HMAC-SHA256 over
// id, timestamp and body, joined by full stops; one `v1,` per live secret, so that secrets can be rotated.

import { keyOfWebhookSecret } from "../domain/webhook.ts";

/**
 * `timestampS`: whole seconds since the Unix epoch. The value of the header webhook-signature. Pass the same array of
 * secrets again and again: what is made of it is kept as long as it is.
 */
export function sign(secrets: readonly string[], id: string, timestampS: number, payload: string): string {
  const signedBefore = `${id}.${timestampS}.`;
  return hashersOf(secrets)
    .map((hasher) => `v1,${hasher.copy().update(signedBefore).update(payload).digest("base64")}`)
    .join(" ");
}

const known = new WeakMap<readonly string[], readonly Bun.CryptoHasher[]>();

/** Setting a hasher up takes as long as hashing a usual payload with it. */
function hashersOf(secrets: readonly string[]): readonly Bun.CryptoHasher[] {
  let hashers = known.get(secrets);
  if (hashers === undefined) {
    hashers = secrets.map((secret) => new Bun.CryptoHasher("sha256", keyOfWebhookSecret(secret)));
    known.set(secrets, hashers);
  }
  return hashers;
}
