// What the owner of a partition puts right in the table, on a real Postgres and a real stream.

import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from "bun:test";
import { noteSequences } from "../../src/db/results.ts";
import type { DeliveryId } from "../../src/domain/ids.ts";
import { MASS_CHANGE_ROWS_MAX, RECONCILE_INTERVAL_MS, RECONCILE_ROWS_MAX } from "../../src/domain/limits.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import type { EnsuredStream, StreamKeeper } from "../../src/publish/stream-keeper.ts";
import { markRecovery } from "../../src/db/webhooks.ts";
import { TableKeeper } from "../../src/publish/table-keeper.ts";
import type { NatsLink } from "../../src/stream/connection.ts";
import { ensureTopology } from "../../src/stream/topology.ts";
import { type Rows, startRows, type Webhook } from "../db/rows.ts";
import { connected } from "../stream/servers.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";

const EPOCH = 7;
const ensured = { epoch: EPOCH } as EnsuredStream;

let rows: Rows;
let nats: TestNats;
let link: NatsLink;
let clock: ManualClock;
let held: Set<DeliveryId>;
let keeper: TableKeeper;
const said: { name: string; fields: object }[] = [];

beforeAll(async () => {
  [rows, nats] = await Promise.all([startRows(), testNats()]);
  const { link: made, connection } = await connected(nats.url);
  link = made;
  await ensureTopology(connection, 1);
});
afterAll(async () => {
  await link.stop();
  await Promise.all([rows.stop(), nats.stop()]);
});
beforeEach(async () => {
  clock = new ManualClock();
  held = new Set();
  said.length = 0;
  ensured.epoch = EPOCH;
  keeper = new TableKeeper({
    database: rows.db,
    link,
    keeper: { ensured } as StreamKeeper,
    clock,
    observe: (name, fields) => void said.push({ name, fields }),
    isHeld: (id) => held.has(id),
    heldIn: () => [...held],
    onCancelled: () => {},
  });
  await keeper.start();
});
afterEach(async () => {
  let hasStopped = false;
  const stopping = keeper.stop().then(() => (hasStopped = true));
  await eventually(() => {
    clock.advance(1_000);
    expect(hasStopped).toBe(true);
  });
  await stopping;
  // Partitions are few: nothing of one test is left for the next.
  await rows.sql`DELETE FROM deliveries`;
  await rows.sql`UPDATE endpoints SET cancel_before = NULL, recover_since = NULL, recover_before = NULL`;
});

const newWebhook = async () => rows.webhook(await rows.user());

/** Deliveries that are noted as in the stream, where they are not, and overdue by so many seconds. */
async function lost(webhook: Webhook, count: number, overdueS: number): Promise<DeliveryId[]> {
  const ids = await rows.deliver(webhook, count);
  await noteSequences(
    rows.sql,
    ids.map((deliveryId, index) => ({ deliveryId, generation: 0, seq: 1_000_000 + index, epoch: EPOCH })),
  );
  await rows.sql`UPDATE deliveries SET due_at = now() - ${overdueS} * interval '1 second'
    WHERE id = ANY (${ids}::uuid[])`;
  return ids;
}

const inStream = async (webhook: Webhook) => {
  const [row] = await rows.sql`SELECT count(*) FROM deliveries
    WHERE webhook_id = ${webhook.id} AND status = 'pending' AND stream_seq IS NOT NULL`;
  return Number(row?.["count"]);
};

test("a lost message is found behind any number of older ones that are in hand", async () => {
  const slow = await newWebhook();
  const other = { ...(await rows.webhook(await rows.user())), partition: slow.partition };
  await rows.sql`UPDATE webhooks SET partition = ${slow.partition} WHERE id = ${other.id}`;
  for (const id of await lost(slow, 2 * RECONCILE_ROWS_MAX + 1, 300)) held.add(id);
  await lost(other, 1, 60);
  keeper.own(slow.partition);
  await eventually(async () => {
    clock.advance(500);
    expect(await inStream(other)).toBe(0);
  });
  expect(await inStream(slow)).toBe(held.size);
});

test("each round looks up so many, the next one goes on behind them, and after the last it starts over", async () => {
  const webhook = await newWebhook();
  const [first, ...later] = await lost(webhook, 2 * RECONCILE_ROWS_MAX + 20, 300);
  // Once it is out of hand, it stands before all that has been looked up.
  held.add(first as DeliveryId);
  keeper.own(webhook.partition);
  const round = async (left: number) => {
    await eventually(async () => {
      clock.advance(100);
      expect(await inStream(webhook)).toBe(left);
    });
    held.clear();
    clock.advance(RECONCILE_INTERVAL_MS);
  };
  await round(1 + later.length - RECONCILE_ROWS_MAX);
  await round(1 + later.length - 2 * RECONCILE_ROWS_MAX);
  await round(1);
  await round(0);
});

const cancelled = async (webhook: Webhook) => {
  const [row] = await rows.sql`SELECT count(*) FROM deliveries
    WHERE webhook_id = ${webhook.id} AND status = 'cancelled'`;
  return Number(row?.["count"]);
};
const markForCancellation = ({ id }: Webhook) =>
  rows.sql`UPDATE endpoints SET cancel_before = now() WHERE webhook_id = ${id}`;

/** Another webhook's in the same partition. */
async function beside({ partition }: Webhook): Promise<Webhook> {
  const webhook = await newWebhook();
  await rows.sql`UPDATE webhooks SET partition = ${partition} WHERE id = ${webhook.id}`;
  await rows.sql`UPDATE endpoints SET partition = ${partition} WHERE webhook_id = ${webhook.id}`;
  return { ...webhook, partition };
}

test("cancellations take turns, chunk by chunk, and each is said once, with all that it came to", async () => {
  const large = await newWebhook();
  const small = await beside(large);
  await rows.deliver(large, 2 * MASS_CHANGE_ROWS_MAX + 5);
  await rows.deliver(small, 3);
  await Promise.all([large, small].map(markForCancellation));
  keeper.own(large.partition);
  await eventually(async () => {
    clock.advance(500);
    expect(await cancelled(small)).toBe(3);
  });
  // A round begins only when the clock moves on: at most the second one is under way.
  expect(await cancelled(large)).toBeLessThanOrEqual(2 * MASS_CHANGE_ROWS_MAX);
  await eventually(async () => {
    clock.advance(500);
    expect(said.map(({ fields }) => fields)).toHaveLength(2);
  });
  expect(said).toContainEqual({ name: "deliveries.cancelled", fields: { webhook_id: small.id, deliveries: 3 } });
  expect(said).toContainEqual({
    name: "deliveries.cancelled",
    fields: { webhook_id: large.id, deliveries: 2 * MASS_CHANGE_ROWS_MAX + 5 },
  });
});

test("neither a new epoch nor the reconciler waits for a cancellation", async () => {
  const stuck = await newWebhook();
  const [first] = await rows.deliver(stuck, 1);
  const victim = await beside(stuck);
  await lost(victim, 1, 60);
  await markForCancellation(stuck);
  await rows.sql.begin(async (transaction) => {
    await transaction`SELECT 1 FROM deliveries WHERE id = ${first ?? ""} FOR UPDATE`;
    keeper.own(stuck.partition);
    await eventually(async () => {
      clock.advance(500);
      expect(await inStream(victim)).toBe(0);
    });
    await lost(victim, 1, 0);
    ensured.epoch += 1;
    await eventually(async () => {
      clock.advance(500);
      expect(await inStream(victim)).toBe(0);
    });
    expect(await cancelled(stuck)).toBe(0);
  });
  await eventually(async () => {
    clock.advance(500);
    expect(await cancelled(stuck)).toBe(1);
  });
});

test("a cancellation that fails is said, and the others go on", async () => {
  const refused = await newWebhook();
  const others = await Promise.all([refused, refused].map(beside));
  const all = [...others, refused];
  for (const webhook of all) await rows.deliver(webhook, 1);
  await Promise.all(all.map(markForCancellation));
  await rows.sql.unsafe(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END';
    CREATE TRIGGER refuse BEFORE UPDATE ON deliveries FOR EACH ROW
      WHEN (NEW.webhook_id = '${refused.id}' AND NEW.status = 'cancelled') EXECUTE FUNCTION refuse();`);
  keeper.own(refused.partition);
  await eventually(async () => {
    clock.advance(500);
    expect(await Promise.all(all.map(cancelled))).toEqual([1, 1, 0]);
    expect(said).toContainEqual({
      name: "housekeeping.failed",
      fields: { task: `cancellation for ${refused.id}`, error: "refused (P0001)" },
    });
  });
});

test("a recovery starts the schedule of all that has failed anew, in chunks, and of nothing else", async () => {
  const webhook = await newWebhook();
  const other = await newWebhook();
  const fail = async (of: Webhook, count: number) => {
    const ids = await rows.deliver(of, count);
    await rows.sql`UPDATE deliveries SET status = 'failed', completed_at = now(), attempt_count = 3, priority = 'high'
      WHERE id = ANY (${ids}::uuid[])`;
    return ids;
  };
  const old = await fail(webhook, 1);
  await rows.sql`UPDATE deliveries SET created_at = now() - interval '2 days' WHERE id = ANY (${old}::uuid[])`;
  const failed = await fail(webhook, MASS_CHANGE_ROWS_MAX + 500);
  const others = await fail(other, 1);
  await markRecovery(rows.db, webhook.userId, webhook.id, new Date(Date.now() - 86_400_000));
  const later = await fail(webhook, 1);
  keeper.own(webhook.partition);
  keeper.own(other.partition);
  await eventually(async () => {
    clock.advance(500);
    const [row] = await rows.sql`SELECT count(*) FROM endpoints WHERE recover_before IS NOT NULL`;
    expect(Number(row?.["count"])).toBe(0);
  });
  const pending = await rows.sql`SELECT id FROM deliveries WHERE status = 'pending' AND generation = 1
    AND stream_seq IS NULL AND schedule_base = 3 AND priority = 'low' AND completed_at IS NULL`;
  expect(pending.map((row) => String(row["id"])).toSorted()).toEqual(failed.toSorted());
  for (const [id] of [old, others, later]) expect(await rows.one(id as DeliveryId)).toMatchObject({ status: "failed" });
  await eventually(() => {
    expect(said).toContainEqual({
      name: "deliveries.recovered",
      fields: { webhook_id: webhook.id, deliveries: failed.length },
    });
  });
});

test("a recovery ends where its webhook is switched off: what has failed stays so", async () => {
  const webhook = await newWebhook();
  const ids = await rows.deliver(webhook, 3);
  await rows.sql`UPDATE deliveries SET status = 'failed', completed_at = now() WHERE id = ANY (${ids}::uuid[])`;
  await markRecovery(rows.db, webhook.userId, webhook.id);
  await rows.sql`UPDATE webhooks SET is_active = false WHERE id = ${webhook.id}`;
  keeper.own(webhook.partition);
  await eventually(async () => {
    clock.advance(500);
    const [row] = await rows.sql`SELECT count(*) FROM endpoints WHERE recover_before IS NOT NULL`;
    expect(Number(row?.["count"])).toBe(0);
  });
  const failed = await rows.sql`SELECT 1 FROM deliveries WHERE status = 'failed' AND webhook_id = ${webhook.id}`;
  expect(failed).toHaveLength(3);
});
