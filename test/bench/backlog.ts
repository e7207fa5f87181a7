// Puts a backlog in front of the workers: users, webhooks and events, accepted and published by the project's own code.

import { acceptEvents } from "../../src/db/accept.ts";
import type { Database } from "../../src/db/database.ts";
import { patternsMatching } from "../../src/domain/event-type.ts";
import { type EventId, newId, type UserId, type WebhookId } from "../../src/domain/ids.ts";
import { partitionOf } from "../../src/domain/partition.ts";
import { payloadPieces } from "../../src/domain/payload.ts";
import { RawJson } from "../../src/lib/json.ts";
import { newWebhookSecret } from "../../src/domain/webhook.ts";
import { createCipher } from "../../src/lib/cipher.ts";
import type { Announcer } from "../../src/publish/announce.ts";

export type Account = { userId: UserId; webhookIds: WebhookId[] };

const CIPHER = createCipher(Buffer.alloc(32, 7));

/** Accounts with `webhooks` webhooks each, whose URLs are `url(webhook's number)`. */
export async function createAccounts(
  { sql }: Database,
  count: number,
  webhooks: number,
  url: (number: number) => string,
): Promise<Account[]> {
  const accounts: Account[] = [];
  for (let index = 0; index < count; index += 1) {
    const userId = newId<UserId>();
    const webhookIds = Array.from({ length: webhooks }, () => newId<WebhookId>());
    await sql`INSERT INTO users (id, email, password_hash) VALUES (${userId}, ${`${userId}@example.com`}, 'none')`;
    for (const [number, id] of webhookIds.entries()) {
      const target = url(index * webhooks + number);
      await sql`INSERT INTO webhooks (id, user_id, url, url_key, events, partition)
        VALUES (${id}, ${userId}, ${target}, ${target}, '{*}', ${partitionOf(id)})`;
      await sql`INSERT INTO endpoints (webhook_id, user_id, partition) VALUES (${id}, ${userId}, ${partitionOf(id)})`;
      await sql`INSERT INTO webhook_secrets (id, webhook_id, ciphertext, key_id)
        VALUES (${newId()}, ${id}, ${CIPHER.encrypt(newWebhookSecret(), id)}, ${CIPHER.keyId})`;
    }
    accounts.push({ userId, webhookIds });
  }
  return accounts;
}

/** `events` events of each account; each goes to all of its webhooks. Published only where an announcer is given. */
export async function acceptBacklog(
  { sql }: Database,
  accounts: readonly Account[],
  events: number,
  announcer: Announcer | undefined,
): Promise<number> {
  let deliveries = 0;
  for (let number = 0; number < events; number += 1) {
    for (const { userId } of accounts) {
      const type = "order.paid";
      const data = new RawJson(`{"order":${number},"note":"${"x".repeat(200)}"}`);
      const row = {
        id: newId<EventId>(),
        user_id: userId,
        type,
        priority: "high" as const,
        pieces: payloadPieces(type, data),
        patterns: patternsMatching(type),
        only_to: null,
        not_to: null,
      };
      const accepted = await acceptEvents(sql, [row]);
      deliveries += accepted.deliveries.length;
      announcer?.announce([row], accepted, { begunAt: performance.now(), canWait: false });
      await announcer?.settled();
    }
  }
  await announcer?.settled();
  return deliveries;
}
