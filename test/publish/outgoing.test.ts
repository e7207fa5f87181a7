import { afterAll, beforeAll, expect, test } from "bun:test";
import { acceptEvents } from "../../src/db/accept.ts";
import type { DeliveryId } from "../../src/domain/ids.ts";
import { PUBLISH_GRACE_MS, STREAM_MESSAGES_PER_SUBJECT_MAX } from "../../src/domain/limits.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Outgoing } from "../../src/publish/outgoing.ts";
import type { NatsLink } from "../../src/stream/connection.ts";
import { Publisher } from "../../src/stream/publisher.ts";
import { WriteWatch } from "../../src/stream/write-watch.ts";
import { eventOf, type Rows, type Webhook } from "../db/rows.ts";
import { messageOf } from "../stream/servers.ts";
import { type Servers, startServers } from "./servers.ts";

let servers: Servers;
let rows: Rows;
let link: NatsLink;
beforeAll(async () => {
  servers = await startServers();
  ({ rows, link } = servers);
});
afterAll(() => servers.stop());

function newOutgoing() {
  const told: string[] = [];
  const writes = new WriteWatch({ clock: systemClock, onSilent: () => {} });
  const stream = { streamCreatedAt: "", bucketCreatedAt: "", bucketAgeMs: 0, bucketIsSuccessor: false };
  const outgoing = new Outgoing({
    publisher: new Publisher(link, systemClock, writes),
    keeper: { ensured: { ...stream, epoch: 1, connectionNumber: 1 }, look: () => {} },
    database: rows.db,
    clock: systemClock,
    observe: (name) => void told.push(name),
    onPublished: () => {},
  });
  return { outgoing, told };
}

/** Accepted as the API does, in their grace, and published in order. */
async function publishAll(outgoing: Outgoing, webhook: Webhook, count: number) {
  const events = Array.from({ length: count }, () => eventOf(webhook.userId, "a.test", { only_to: webhook.id }));
  const { deliveries } = await acceptEvents(rows.sql, events);
  const ids = deliveries.map(({ id }) => id).toSorted();
  const { id: webhookId, userId, partition } = webhook;
  const published = await Promise.all(
    ids.map((deliveryId) => outgoing.publish(messageOf({ deliveryId, webhookId, userId, partition }))),
  );
  return { ids, kinds: published.map(({ kind }) => kind) };
}

test("what finds its lane full is refill's at once, and what is stored is noted", async () => {
  const webhook = await rows.webhook(await rows.user());
  const { outgoing, told } = newOutgoing();
  const { ids, kinds } = await publishAll(outgoing, webhook, STREAM_MESSAGES_PER_SUBJECT_MAX + 6);
  await outgoing.stop();
  const refused = ids.filter((_, index) => kinds[index] === "subject_full");
  expect(refused).toHaveLength(6);
  const after = await rows.sql`SELECT id, stream_seq IS NOT NULL AS noted,
      due_at = pending_since + ${PUBLISH_GRACE_MS} * interval '1 millisecond' AS in_grace
    FROM deliveries WHERE webhook_id = ${webhook.id} ORDER BY id`;
  expect(after.filter((row) => !row["in_grace"]).map((row) => row["id"] as DeliveryId)).toEqual(refused);
  expect(after.filter((row) => row["noted"])).toHaveLength(STREAM_MESSAGES_PER_SUBJECT_MAX);
  const [endpoint] = await rows.sql`SELECT backlog FROM endpoints WHERE webhook_id = ${webhook.id}`;
  expect(endpoint?.["backlog"]).toEqual(["high"]);
  expect(told).toEqual(["backlog.started"]);
});
