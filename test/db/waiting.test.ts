import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cancelPending, clearCancellation, listCancellations } from "../../src/db/endpoints.ts";
import { noteSequences } from "../../src/db/results.ts";
import {
  clearBacklog,
  endGrace,
  listBacklogs,
  listDue,
  listPayloads,
  listWaitingLanes,
  markBacklogs,
} from "../../src/db/waiting.ts";
import { type DeliveryId, type EventId, newId } from "../../src/domain/ids.ts";
import { PARTITIONS } from "../../src/domain/limits.ts";
import { type Rows, startRows, type Webhook } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
});
afterAll(() => rows.stop());

const newWebhook = async () => rows.webhook(await rows.user());
const due = async ({ id, partition }: Webhook, room = 64, after?: { dueAt: string; id: DeliveryId }) =>
  (await listDue(rows.sql, partition, [{ webhookId: id, priority: "high", room, after }], 1_000_000)).map((row) => row);
const idsOf = (list: { id: DeliveryId }[]) => list.map(({ id }) => id);

describe("the due query", () => {
  test("finds the oldest first, up to the room, and goes on behind a bookmark", async () => {
    const webhook = await newWebhook();
    const ids = await rows.deliver(webhook, 10);
    for (const [index, id] of ids.entries()) {
      await rows.sql`UPDATE deliveries SET due_at = now() - ${100 - index} * interval '1 second' WHERE id = ${id}`;
    }
    const first = await due(webhook, 4);
    expect(idsOf(first)).toEqual(ids.slice(0, 4));
    expect(idsOf(await due(webhook, 64, first[3]?.bookmark))).toEqual(ids.slice(4));
    expect(first[0]).toMatchObject({
      webhookId: webhook.id,
      userId: webhook.userId,
      generation: 0,
      eventType: "a.test",
    });
    expect(JSON.parse(first[0]?.payload ?? "")).toMatchObject({ type: "a.test" });
  });

  test("leaves payloads out once there are many bytes of them, and says how large each is", async () => {
    const webhook = await newWebhook();
    await rows.deliver(webhook, 5);
    const lane = { webhookId: webhook.id, priority: "high", room: 64 } as const;
    const whole = await listDue(rows.sql, webhook.partition, [lane], 1_000_000);
    const size = whole[0]?.payloadBytes ?? 0;
    expect(size).toBe(Buffer.byteLength(whole[0]?.payload ?? ""));
    for (const [bytesMax, present] of [
      [2 * size + 1, 3],
      [2 * size, 2],
      [1, 1],
    ] as const) {
      const due = await listDue(rows.sql, webhook.partition, [lane], bytesMax);
      expect(idsOf(due)).toEqual(idsOf(whole));
      expect(due.map(({ payload }) => payload !== undefined)).toEqual(whole.map((_, index) => index < present));
    }
    const payloads = await listPayloads(rows.sql, [...whole.map(({ eventId }) => eventId), newId<EventId>()]);
    expect(whole.map(({ eventId }) => payloads.get(eventId))).toEqual(whole.map(({ payload }) => payload));
  });

  test("leaves out what is not due, in the stream, completed, or of another lane or partition", async () => {
    const webhook = await newWebhook();
    const [later, inStream, done, normal, waiting] = (await rows.deliver(webhook, 5)) as DeliveryId[];
    await rows.sql`UPDATE deliveries SET due_at = now() + interval '1 minute' WHERE id = ${later ?? ""}`;
    await rows.sql`UPDATE deliveries SET status = 'delivered' WHERE id = ${done ?? ""}`;
    await rows.sql`UPDATE deliveries SET priority = 'normal' WHERE id = ${normal ?? ""}`;
    await noteSequences(rows.sql, [{ deliveryId: inStream as DeliveryId, generation: 0, seq: 1, epoch: 1 }]);
    expect(idsOf(await due(webhook))).toEqual([waiting as DeliveryId]);
    expect(await due({ ...webhook, partition: (webhook.partition + 1) % PARTITIONS })).toEqual([]);
  });

  test("lets nothing through a shut gate, and one through a half-open circuit", async () => {
    const webhook = await newWebhook();
    await rows.deliver(webhook, 3);
    await rows.sql`UPDATE endpoints SET open_until = now() + interval '1 minute' WHERE webhook_id = ${webhook.id}`;
    expect(await due(webhook)).toEqual([]);
    await rows.sql`UPDATE endpoints SET open_until = now(), circuit = 'open' WHERE webhook_id = ${webhook.id}`;
    expect(await due(webhook)).toHaveLength(1);
  });

  test("walks over every waiting lane once, however few at a time", async () => {
    const user = await rows.user();
    const all: Webhook[] = [];
    while (all.length < 12) {
      const webhook = await rows.webhook(user);
      if (webhook.partition === 3) all.push(webhook);
    }
    for (const webhook of all) await rows.deliver(webhook, 3);
    await rows.sql`UPDATE deliveries SET priority = 'low' WHERE webhook_id = ${all[0]?.id ?? ""}
      AND id = (SELECT min(id::text)::uuid FROM deliveries WHERE webhook_id = ${all[0]?.id ?? ""})`;
    const found: string[] = [];
    for (let after = undefined as Awaited<ReturnType<typeof listWaitingLanes>>[number] | undefined; ;) {
      const lanes = await listWaitingLanes(rows.sql, 3, after, 5);
      // Lanes of other tests may be in the same partition.
      const own = lanes.filter(({ webhookId }) => all.some(({ id }) => id === webhookId));
      found.push(...own.map(({ webhookId, priority }) => `${webhookId} ${priority}`));
      after = lanes.at(-1);
      if (lanes.length < 5) break;
    }
    const expected = [...all.map(({ id }) => `${id} high`), `${all[0]?.id} low`].toSorted();
    expect(found).toEqual(expected);
  });

  test("reads indexes alone, with months of daily partitions and one endpoint that holds nearly everything", async () => {
    await rows.sql`SELECT ensure_day_partition(parent, (now() AT TIME ZONE 'UTC')::date - ago)
      FROM unnest(ARRAY['events', 'deliveries', 'attempts']) parent, generate_series(0, 60) ago`;
    const [large, small] = [await newWebhook(), await newWebhook()];
    await rows.sql`INSERT INTO deliveries (id, event_id, webhook_id, user_id, partition, priority, event_type, due_at)
      SELECT delivery_id_of(${Bun.randomUUIDv7()}), gen_random_uuid(), ${large.id}, ${large.userId}, ${large.partition}, 'high', 'a.test', now()
      FROM generate_series(1, 20000)`;
    await rows.deliver(small, 3);
    await rows.sql`ANALYZE deliveries`;
    const [explained] = await rows.sql.unsafe(
      `EXPLAIN (ANALYZE, FORMAT JSON) SELECT d.id FROM unnest($2::uuid[]) AS l(webhook_id) CROSS JOIN LATERAL (
        SELECT * FROM deliveries d WHERE d.partition = $1 AND d.webhook_id = l.webhook_id AND d.priority = 'high'
          AND d.status = 'pending' AND stream_seq IS NULL AND d.due_at <= now() ORDER BY d.due_at, d.id LIMIT 64) d`,
      [large.partition, [large.id]],
    );
    const plan = JSON.stringify(explained);
    expect(plan).toContain("partition_webhook_id_priority_due_at_id_idx");
    expect(plan).not.toContain("Seq Scan");
    const before = performance.now();
    expect(await due(small)).toHaveLength(3);
    expect((await listWaitingLanes(rows.sql, large.partition, undefined, 100)).length).toBeGreaterThan(0);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

test("what the stream refused is due at once; what is in it, ended, or waits for a retry is left as it is", async () => {
  const webhook = await newWebhook();
  const all = await rows.deliver(webhook, 4);
  const [refused, inStream, done, retried] = all as [DeliveryId, DeliveryId, DeliveryId, DeliveryId];
  await rows.sql`UPDATE deliveries SET due_at = pending_since + interval '2 seconds' WHERE webhook_id = ${webhook.id}`;
  await rows.sql`UPDATE deliveries SET due_at = now() + interval '1 minute', attempt_count = 1 WHERE id = ${retried}`;
  await rows.sql`UPDATE deliveries SET status = 'cancelled' WHERE id = ${done}`;
  await noteSequences(rows.sql, [{ deliveryId: inStream, generation: 0, seq: 1, epoch: 1 }]);
  const dueAt = async () =>
    new Map((await rows.sql`SELECT id, due_at FROM deliveries WHERE id = ANY (${all})`).map((row) => [row["id"], row]));
  const before = await dueAt();
  expect(await due(webhook)).toEqual([]);
  await endGrace(rows.sql, all.toReversed());
  expect(idsOf(await due(webhook))).toEqual([refused]);
  const after = await dueAt();
  for (const id of [inStream, done, retried]) expect(after.get(id)).toEqual(before.get(id));
});

test("backlogs are marked together, each lane once, and unmarked", async () => {
  const [one, other] = [await newWebhook(), await newWebhook()];
  const low = { webhookId: one.id, priority: "low" } as const;
  const high = { webhookId: one.id, priority: "high" } as const;
  const others = { webhookId: other.id, priority: "high" } as const;
  const marked = async () => {
    const partitions = [...new Set([one.partition, other.partition])];
    const all = (
      await Promise.all(partitions.map((partition) => listBacklogs(rows.sql, partition, undefined, 100)))
    ).flat();
    const own = all.filter(({ webhookId }) => webhookId === one.id || webhookId === other.id);
    return own.map(({ webhookId, priority }) => `${webhookId} ${priority}`).toSorted();
  };
  const named = (...lanes: { webhookId: string; priority: string }[]) =>
    lanes.map(({ webhookId, priority }) => `${webhookId} ${priority}`).toSorted();
  expect(await markBacklogs(rows.sql, [low])).toEqual(new Set([one.id]));
  expect(await marked()).toEqual(named(low));
  // Whose were all marked before is not told again.
  expect(await markBacklogs(rows.sql, [low])).toEqual(new Set());
  expect(await markBacklogs(rows.sql, [low, others, high, others])).toEqual(new Set([one.id, other.id]));
  expect(await marked()).toEqual(named(low, high, others));
  expect([await clearBacklog(rows.sql, low), await clearBacklog(rows.sql, low)]).toEqual([true, false]);
  expect(await marked()).toEqual(named(high, others));
});

test("marked lanes are walked over once, however few at a time", async () => {
  const webhooks = await Promise.all(Array.from({ length: 30 }, newWebhook));
  const lanes = webhooks.flatMap(({ id: webhookId }) => [
    { webhookId, priority: "high" } as const,
    { webhookId, priority: "low" } as const,
  ]);
  await markBacklogs(rows.sql, lanes);
  const found: string[] = [];
  for (const partition of new Set(webhooks.map((webhook) => webhook.partition))) {
    for (let page = await listBacklogs(rows.sql, partition, undefined, 3); page.length > 0;) {
      found.push(...page.map(({ webhookId, priority }) => `${webhookId} ${priority}`));
      page = await listBacklogs(rows.sql, partition, page.at(-1), 3);
    }
  }
  const own = found.filter((lane) => webhooks.some(({ id }) => lane.startsWith(id)));
  expect(own.toSorted()).toEqual(lanes.map(({ webhookId, priority }) => `${webhookId} ${priority}`).toSorted());
});

test("a backlog stays marked while its gate is not open, and rests meanwhile", async () => {
  const { id: webhookId, partition } = await newWebhook();
  const lane = { webhookId, priority: "high" } as const;
  await markBacklogs(rows.sql, [lane]);
  const isListed = async () =>
    (await listBacklogs(rows.sql, partition, undefined, 100)).some((one) => one.webhookId === webhookId);
  for (const [circuit, opensInS] of [
    ["closed", 60],
    ["open", 60],
    ["open", -1],
  ] as const) {
    await rows.sql`UPDATE endpoints SET circuit = ${circuit}, open_until = now() + ${opensInS} * interval '1 second'
      WHERE webhook_id = ${webhookId}`;
    expect([await clearBacklog(rows.sql, lane), await isListed()]).toEqual([false, false]);
  }
  await rows.sql`UPDATE endpoints SET circuit = 'closed' WHERE webhook_id = ${webhookId}`;
  expect([await isListed(), await clearBacklog(rows.sql, lane), await isListed()]).toEqual([true, true, false]);
});

test("of very many webhooks to be cancelled, each has its turn, whichever partition it is in", async () => {
  const webhooks = await Promise.all(Array.from({ length: 110 }, () => newWebhook()));
  const ids = webhooks.map(({ id }) => id);
  const partitions = [...new Set(webhooks.map(({ partition }) => partition))];
  await rows.sql`UPDATE endpoints SET cancel_before = now() WHERE webhook_id = ANY (${ids}::uuid[])`;
  const seen = new Set<string>();
  for (let round = 0; round < 50 && seen.size < ids.length; round += 1) {
    const listed = await listCancellations(rows.sql, partitions);
    expect(listed).toHaveLength(100);
    for (const { webhookId } of listed) seen.add(webhookId);
  }
  expect([...seen].toSorted()).toEqual(ids.toSorted());
  expect(await listCancellations(rows.sql, [])).toEqual([]);
  await rows.sql`UPDATE endpoints SET cancel_before = NULL`;
});

test("a cancellation takes a thousand rows at a time, waiting or in the stream, and only those from before the mark", async () => {
  const webhook = await newWebhook();
  const ids = await rows.deliver(webhook, 1_500);
  await noteSequences(
    rows.sql,
    ids.slice(0, 700).map((deliveryId, index) => ({ deliveryId, generation: 0, seq: index + 1, epoch: 1 })),
  );
  await rows.sql`UPDATE endpoints SET cancel_before = now() WHERE webhook_id = ${webhook.id}`;
  const [after] = await rows.deliver(webhook);
  const mark = (await listCancellations(rows.sql, [webhook.partition])).find((one) => one.webhookId === webhook.id);
  if (mark === undefined) throw new Error("the mark is not found");
  const chunks = [
    await cancelPending(rows.sql, mark),
    await cancelPending(rows.sql, mark),
    await cancelPending(rows.sql, mark),
  ];
  expect(chunks).toEqual([1_000, 500, 0]);
  expect(await rows.one(ids[0] as DeliveryId)).toMatchObject({ status: "cancelled", stream_seq: null });
  expect(await rows.one(after as DeliveryId)).toMatchObject({ status: "pending" });
  await rows.sql`UPDATE endpoints SET cancel_before = now() WHERE webhook_id = ${webhook.id}`;
  await clearCancellation(rows.sql, mark);
  const newer = (await listCancellations(rows.sql, [webhook.partition])).find((one) => one.webhookId === webhook.id);
  expect(newer).toBeDefined();
  if (newer !== undefined) await clearCancellation(rows.sql, newer);
  expect((await listCancellations(rows.sql, [webhook.partition])).some((one) => one.webhookId === webhook.id)).toBe(
    false,
  );
});
