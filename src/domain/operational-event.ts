// What Fairpost itself tells an account about its webhooks: the data of each operational event.

import type { Json } from "../lib/json.ts";

/** Why a webhook was disabled, for its owner to read. */
export const DISABLED_REASONS = {
  gone: "the receiver answered 410 Gone",
  hopeless: "no attempt has succeeded for 5 days",
} as const;

export function webhookDisabledData({ id, url }: { id: string; url: string }, reason: string): Json {
  return { webhook: { id, url }, reason };
}

export function webhookTestData(id: string): Json {
  return { webhook_id: id, message: "A test, sent on request." };
}
