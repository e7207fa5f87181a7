import { afterAll, beforeAll, expect, test } from "bun:test";
import { acceptEvents } from "../../src/db/accept.ts";
import type { DeliveryId } from "../../src/domain/ids.ts";
import { payloadPieces } from "../../src/domain/payload.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { PIECE_BYTES_MAX } from "../../src/publish/pieces.ts";
import { Refill, type RefillOptions } from "../../src/publish/refill.ts";
import type { NatsLink } from "../../src/stream/connection.ts";
import { eventOf, type Rows, type Webhook } from "../db/rows.ts";
import { eventually } from "../support/services.ts";
import { type Servers, startServers } from "./servers.ts";

let servers: Servers;
let rows: Rows;
let link: NatsLink;
beforeAll(async () => {
  servers = await startServers();
  ({ rows, link } = servers);
});
afterAll(() => servers.stop());

const EVENT_BYTES = 250_000;
const PARTITION = 3;

async function webhookOfPartition(): Promise<Webhook> {
  for (;;) {
    const webhook = await rows.webhook(await rows.user());
    if (webhook.partition === PARTITION) return webhook;
  }
}

/** With room for everything, but for what `more` says. */
function refillWith(more: Pick<RefillOptions, "outgoing"> & Partial<RefillOptions>): Refill {
  return new Refill({
    database: rows.db,
    link,
    clock: systemClock,
    observe: () => {},
    isHeld: () => false,
    laneOf: () => ({ depth: 64, waiting: 0 }),
    hasAppetite: () => true,
    restMs: () => 0,
    ...more,
  });
}

/** Large events, due at once, oldest first. */
async function deliverLarge({ id, userId }: Webhook, count: number): Promise<DeliveryId[]> {
  const data = "x".repeat(EVENT_BYTES);
  const ids: DeliveryId[] = [];
  for (let made = 0; made < count; made += 1) {
    const event = eventOf(userId, "a.large", { only_to: id, pieces: payloadPieces("a.large", data) });
    const { deliveries } = await acceptEvents(rows.sql, [event]);
    ids.push(...deliveries.map((delivery) => delivery.id));
  }
  await rows.sql`UPDATE deliveries SET due_at = now() WHERE id = ANY (${ids}::uuid[])`;
  return ids;
}

test("large events are refilled in pieces, each once and in order, and mark no backlog", async () => {
  const webhooks = [await webhookOfPartition(), await webhookOfPartition(), await webhookOfPartition()];
  const expected = new Map<string, DeliveryId[]>();
  for (const webhook of webhooks) expected.set(webhook.id, await deliverLarge(webhook, 40));
  const published = new Map<string, DeliveryId[]>();
  let bytes = 0;
  let bytesMost = 0;
  const refill = refillWith({
    outgoing: {
      async publish(message) {
        bytes += message.payload.length;
        bytesMost = Math.max(bytesMost, bytes);
        published.set(message.webhookId, [...(published.get(message.webhookId) ?? []), message.deliveryId]);
        // As the note of it would.
        await rows.sql`UPDATE deliveries SET stream_seq = 1, stream_epoch = 1 WHERE id = ${message.deliveryId}`;
        bytes -= message.payload.length;
        return { kind: "stored", seq: 1 };
      },
    },
  });
  refill.own(PARTITION);
  await refill.start();
  await eventually(() => expect([...published.values()].flat()).toHaveLength(120));
  await refill.stop();
  expect(published).toEqual(expected);
  // The first answer and one piece beside it, each with a payload more than fits.
  expect(bytesMost).toBeLessThan(2 * (PIECE_BYTES_MAX + EVENT_BYTES + 1_000));
  expect(await rows.sql`SELECT 1 FROM endpoints WHERE backlog <> '{}'`).toHaveLength(0);
});

test("what need not come in stays in the table, and follows when it may", async () => {
  const webhook = await webhookOfPartition();
  const ids = await deliverLarge(webhook, 40);
  const published: DeliveryId[] = [];
  let hasAppetite = true;
  const refill = refillWith({
    outgoing: {
      async publish(message) {
        published.push(message.deliveryId);
        hasAppetite = false;
        await rows.sql`UPDATE deliveries SET stream_seq = 1, stream_epoch = 1 WHERE id = ${message.deliveryId}`;
        return { kind: "stored", seq: 1 };
      },
    },
    hasAppetite: () => hasAppetite,
  });
  refill.own(PARTITION);
  await refill.start();
  const firstPiece = Math.ceil(PIECE_BYTES_MAX / EVENT_BYTES);
  await eventually(() => expect(published.length).toBe(firstPiece));
  await eventually(async () => {
    const left = await rows.sql`SELECT 1 FROM deliveries WHERE webhook_id = ${webhook.id} AND stream_seq IS NULL`;
    expect(left).toHaveLength(ids.length - firstPiece);
  });
  hasAppetite = true;
  await eventually(() => expect(published).toEqual(ids));
  await refill.stop();
});

test("a backlog behind a shut gate stays marked, so that older deliveries go first when it opens", async () => {
  const webhook = await webhookOfPartition();
  const ids = await rows.deliver(webhook, 100);
  const published: DeliveryId[] = [];
  const observed: string[] = [];
  let inStream = 0;
  const gate = (isOpen: boolean) =>
    rows.sql`UPDATE endpoints SET open_until = CASE WHEN ${isOpen}::boolean THEN NULL ELSE now() + interval '1 hour' END
      WHERE webhook_id = ${webhook.id}`;
  const backlog = async () =>
    (await rows.sql`SELECT backlog FROM endpoints WHERE webhook_id = ${webhook.id}`)[0]?.["backlog"];
  const lane = { webhookId: webhook.id, priority: "high" } as const;
  const refill = refillWith({
    observe: (name) => void observed.push(name),
    outgoing: {
      async publish({ deliveryId }) {
        published.push(deliveryId);
        inStream += 1;
        await rows.sql`UPDATE deliveries SET stream_seq = 1, stream_epoch = 1 WHERE id = ${deliveryId}`;
        return { kind: "stored", seq: 1 };
      },
    },
    laneOf: () => ({ depth: 64, waiting: inStream }),
  });
  refill.own(PARTITION);
  await refill.start();
  await eventually(() => expect(published).toHaveLength(64));
  await eventually(async () => expect(await backlog()).toEqual(["high"]));
  await gate(false);
  inStream = 0;
  for (let message = 0; message < 64; message += 1) refill.messageLeft(lane, false);
  // It has been found that nothing comes.
  await eventually(() => expect(refill.hasBacklog(webhook.userId)).toBe(false));
  expect(await backlog()).toEqual(["high"]);
  expect(published).toHaveLength(64);
  await gate(true);
  await eventually(() => {
    inStream = 0;
    expect(published).toEqual(ids);
  });
  await eventually(async () => expect(await backlog()).toEqual([]));
  await refill.stop();
  expect(observed).toEqual(["backlog.cleared"]);
});

test("of very many marked lanes none keeps its mark once nothing waits for it", async () => {
  const user = await rows.user();
  await rows.sql`WITH made AS (
      INSERT INTO webhooks (id, user_id, url, url_key, events, partition)
      SELECT id, ${user}, id::text, id::text, '{*}', ${PARTITION}
      FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 1_100)) ids RETURNING id
    )
    INSERT INTO endpoints (webhook_id, user_id, partition, backlog) SELECT id, ${user}, ${PARTITION}, '{high,low}' FROM made`;
  const refill = refillWith({
    outgoing: { publish: () => Promise.resolve({ kind: "failed", reason: "a test" }) },
  });
  refill.own(PARTITION);
  await refill.start();
  await eventually(
    async () => expect(await rows.sql`SELECT 1 FROM endpoints WHERE backlog <> '{}'`).toHaveLength(0),
    20_000,
    200,
  );
  await refill.stop();
});
