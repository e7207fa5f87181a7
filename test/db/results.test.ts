import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { replayDelivery } from "../../src/db/deliveries.ts";
import { checkDeliveries, noteSequences, recordResults, type ResultRow } from "../../src/db/results.ts";
import type { Place } from "../../src/domain/turn-result.ts";
import { listOverdueInStream, noteStream, returnMissing, returnOlderEpochs } from "../../src/db/stream-state.ts";
import { type AttemptId, type DeliveryId, newId } from "../../src/domain/ids.ts";
import { type Rows, startRows, type Webhook } from "./rows.ts";

let rows: Rows;
let webhook: Webhook;
beforeAll(async () => {
  rows = await startRows();
  webhook = await rows.webhook(await rows.user());
});
afterAll(() => rows.stop());

const deliver = async () => (await rows.deliver(webhook))[0] as DeliveryId;
const result = (deliveryId: DeliveryId, place: Place, more: Partial<ResultRow> = {}): ResultRow => ({
  deliveryId,
  generation: 0,
  place,
  error: "HTTP 500",
  attempt: { id: newId<AttemptId>(), attempt: 1, statusCode: 500, latencyMs: 3, error: "HTTP 500", responseBody: null },
  agoMs: 5,
  ...more,
});
const attemptsOf = (id: DeliveryId) => rows.sql`SELECT * FROM attempts WHERE delivery_id = ${id}`;

describe("a result", () => {
  test("that completes leaves nothing in the stream", async () => {
    const id = await deliver();
    await noteSequences(rows.sql, [{ deliveryId: id, generation: 0, seq: 7, epoch: 1 }]);
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "delivered" }, { error: null })]);
    expect(await rows.one(id)).toMatchObject({
      status: "delivered",
      stream_seq: null,
      attempt_count: 1,
      last_error: null,
    });
    expect((await rows.one(id))["completed_at"]).toBeInstanceOf(Date);
  });

  test("that delivers is in the delivery's row, as of when it was; of a second one only the attempt is kept, once", async () => {
    const id = await deliver();
    const delivered = (agoMs: number, statusCode: number) => {
      const attempt = { id: newId<AttemptId>(), attempt: 1, statusCode, latencyMs: 3, error: null, responseBody: "ok" };
      return result(id, { kind: "completed", status: "delivered" }, { error: null, attempt, agoMs });
    };
    const [first, second] = [delivered(60_000, 200), delivered(0, 201)];
    for (const batch of [[first], [first], [second, first], [second]]) await recordResults(rows.sql, batch);
    const row = await rows.one(id);
    expect(row).toMatchObject({
      delivering_id: first.attempt?.id,
      delivering_attempt: 1,
      delivering_status_code: 200,
      delivering_latency_ms: 3,
      delivering_response_body: "ok",
    });
    const agoMs = Date.now() - (row["completed_at"] as Date).getTime();
    expect(agoMs).toBeGreaterThan(50_000);
    expect(await attemptsOf(id)).toMatchObject([{ id: second.attempt?.id, status_code: 201 }]);
  });

  test("that delivers, written again after a replay, is kept once", async () => {
    const id = await deliver();
    const delivered = result(id, { kind: "completed", status: "delivered" }, { error: null });
    await recordResults(rows.sql, [delivered]);
    await replayDelivery(rows.db, webhook.userId, id);
    await recordResults(rows.sql, [delivered]);
    expect(await rows.one(id)).toMatchObject({ status: "pending", generation: 1, delivering_id: null });
    expect(await attemptsOf(id)).toMatchObject([{ id: delivered.attempt?.id }]);
  });

  test("of a delivery that was cancelled meanwhile counts, once: a retry goes on with the next number", async () => {
    const [id, other] = [await deliver(), await deliver()];
    await rows.sql`UPDATE deliveries SET status = 'cancelled', completed_at = now(), last_error = 'off' WHERE id = ${id}`;
    const late = result(id, { kind: "stream", seq: 9, epoch: 2, delayMs: 60_000 });
    const batch = [late, result(other, { kind: "completed", status: "delivered" }, { error: null })];
    for (const again of [batch, batch]) await recordResults(rows.sql, again);
    const cancelled = { status: "cancelled", attempt_count: 1, generation: 0, last_error: "off", stream_seq: null };
    expect(await rows.one(id)).toMatchObject(cancelled);
    expect(await rows.one(other)).toMatchObject({ status: "delivered", attempt_count: 1 });
    expect(await attemptsOf(id)).toMatchObject([{ id: late.attempt?.id, attempt: 1 }]);
    await replayDelivery(rows.db, webhook.userId, id);
    expect(await rows.one(id)).toMatchObject({ status: "pending", attempt_count: 1, schedule_base: 1 });
    await recordResults(rows.sql, [late]);
    expect(await rows.one(id)).toMatchObject({ status: "pending", attempt_count: 1, generation: 1 });
  });

  test("without a request leaves the count of an ended delivery alone", async () => {
    const id = await deliver();
    await rows.sql`UPDATE deliveries SET status = 'failed', completed_at = now(), attempt_count = 4 WHERE id = ${id}`;
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "cancelled" }, { attempt: null })]);
    expect(await rows.one(id)).toMatchObject({ status: "failed", attempt_count: 4 });
  });

  test("that stays in the stream notes its own message, and one that goes back raises the generation", async () => {
    const id = await deliver();
    await recordResults(rows.sql, [result(id, { kind: "stream", seq: 9, epoch: 2, delayMs: 60_000 })]);
    expect(await rows.one(id)).toMatchObject({ status: "pending", stream_seq: 9, stream_epoch: 2, generation: 0 });
    await recordResults(rows.sql, [result(id, { kind: "table", delayMs: 120_000 })]);
    expect(await rows.one(id)).toMatchObject({
      status: "pending",
      stream_seq: null,
      stream_epoch: null,
      generation: 1,
    });
    const checked = (await checkDeliveries(rows.sql, [id])).get(id);
    expect(checked).toMatchObject({ status: "pending", generation: 1, attemptCount: 1, scheduleBase: 0 });
    expect(checked?.dueInMs).toBeGreaterThan(110_000);
    expect(checked?.dueInMs).toBeLessThanOrEqual(120_000);
  });

  test("handed back is due as before, and keeps its error and count", async () => {
    const id = await deliver();
    const before = await rows.one(id);
    await recordResults(rows.sql, [result(id, { kind: "table", delayMs: null }, { attempt: null, error: null })]);
    expect(await rows.one(id)).toMatchObject({
      due_at: before["due_at"],
      generation: 1,
      attempt_count: 0,
      last_error: null,
    });
    expect(await attemptsOf(id)).toHaveLength(0);
  });

  test("of the past changes nothing but keeps its attempt", async () => {
    const id = await deliver();
    await recordResults(rows.sql, [result(id, { kind: "table", delayMs: 0 })]);
    const before = await rows.one(id);
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "delivered" })]);
    expect(await rows.one(id)).toMatchObject({ ...before, due_in: expect.anything() });
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "failed" }, { generation: 1 })]);
    await recordResults(rows.sql, [result(id, { kind: "table", delayMs: 0 }, { generation: 1 })]);
    expect(await rows.one(id)).toMatchObject({ status: "failed", generation: 1 });
    expect(await attemptsOf(id)).toHaveLength(4);
  });

  test("written twice is written once, many at once and in any order", async () => {
    const ids = await rows.deliver(webhook, 200);
    const results = ids.map((id, index) =>
      result(id, index % 2 === 0 ? { kind: "table", delayMs: 0 } : { kind: "completed", status: "delivered" }),
    );
    await Promise.all([results, results.toReversed(), results].map((given) => recordResults(rows.sql, given)));
    const kept = await rows.sql`SELECT id FROM attempts WHERE delivery_id = ANY (${ids}::uuid[])
      UNION ALL SELECT delivering_id FROM deliveries WHERE id = ANY (${ids}::uuid[]) AND delivering_id IS NOT NULL`;
    expect(kept).toHaveLength(200);
    expect(new Set(kept.map((row) => row["id"]))).toEqual(new Set(results.map(({ attempt }) => attempt?.id)));
    const generations =
      await rows.sql`SELECT DISTINCT generation, status FROM deliveries WHERE id = ANY (${ids}::uuid[]) ORDER BY 1`;
    expect([...generations]).toEqual([
      { generation: 0, status: "delivered" },
      { generation: 1, status: "pending" },
    ]);
  });

  test("of a delivery that is gone keeps its attempt", async () => {
    const id = newId<DeliveryId>();
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "delivered" })]);
    expect(await attemptsOf(id)).toHaveLength(1);
    expect((await checkDeliveries(rows.sql, [id])).size).toBe(0);
  });
});

describe("a note", () => {
  const note = (deliveryId: DeliveryId, generation: number, seq: number) =>
    noteSequences(rows.sql, [{ deliveryId, generation, seq, epoch: 1 }]);

  test("counts once, for a pending row of its generation that has none", async () => {
    const id = await deliver();
    await note(id, 1, 5);
    expect((await rows.one(id))["stream_seq"]).toBe(null);
    await note(id, 0, 6);
    await note(id, 0, 7);
    expect((await rows.one(id))["stream_seq"]).toBe(6);
    await recordResults(rows.sql, [result(id, { kind: "completed", status: "failed" })]);
    await note(id, 0, 8);
    expect((await rows.one(id))["stream_seq"]).toBe(null);
  });

  test("waits for nobody: a row that is locked is left to refill", async () => {
    const [locked, free] = (await rows.deliver(webhook, 2)) as [DeliveryId, DeliveryId];
    await rows.sql.begin(async (transaction) => {
      await transaction`SELECT 1 FROM deliveries WHERE id = ${locked} FOR NO KEY UPDATE`;
      await noteSequences(rows.sql, [
        { deliveryId: locked, generation: 0, seq: 1, epoch: 1 },
        { deliveryId: free, generation: 0, seq: 2, epoch: 1 },
      ]);
    });
    expect((await rows.one(locked))["stream_seq"]).toBe(null);
    expect((await rows.one(free))["stream_seq"]).toBe(2);
  });
});

describe("the stream's epoch", () => {
  test("rises with every other creation time, once for all who notice", async () => {
    const seen = await Promise.all(["a", "a", "a"].map((created) => noteStream(rows.sql, created)));
    expect(seen.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(seen.map(({ epoch }) => epoch)).size).toBe(1);
    const next = await noteStream(rows.sql, "b");
    expect(next).toEqual({ epoch: (seen[0]?.epoch ?? 0) + 1, isNew: true });
  });

  test("returns what is noted for another one, but for what is held", async () => {
    const own = await rows.webhook(webhook.userId);
    const [old, held, present] = (await rows.deliver(own, 3)) as [DeliveryId, DeliveryId, DeliveryId];
    await noteSequences(rows.sql, [
      { deliveryId: old, generation: 0, seq: 1, epoch: 41 },
      { deliveryId: held, generation: 0, seq: 2, epoch: 41 },
      { deliveryId: present, generation: 0, seq: 3, epoch: 42 },
    ]);
    await returnOlderEpochs(rows.sql, own.partition, 42, [held]);
    expect(await rows.one(old)).toMatchObject({ stream_seq: null, generation: 1 });
    expect(await rows.one(held)).toMatchObject({ stream_seq: 2, generation: 0 });
    expect(await rows.one(present)).toMatchObject({ stream_seq: 3, generation: 0 });
  });

  test("overdue rows are found, those that were noted too late for their epoch too, and returned by seq and generation", async () => {
    const own = await rows.webhook(webhook.userId);
    const [late, present, fresh] = (await rows.deliver(own, 3)) as [DeliveryId, DeliveryId, DeliveryId];
    await noteSequences(rows.sql, [
      { deliveryId: late, generation: 0, seq: 1, epoch: 51 },
      { deliveryId: present, generation: 0, seq: 2, epoch: 52 },
      { deliveryId: fresh, generation: 0, seq: 3, epoch: 52 },
    ]);
    await rows.sql`UPDATE deliveries SET due_at = now() - interval '1 minute' WHERE id IN (${late}, ${present})`;
    const overdue = (await listOverdueInStream(rows.sql, own.partition, 52)).filter(({ id }) =>
      [late, present, fresh].includes(id),
    );
    expect(overdue.toSorted((a, b) => a.seq - b.seq)).toMatchObject([
      { id: late, generation: 0, seq: 1, isOfEpoch: false },
      { id: present, generation: 0, seq: 2, isOfEpoch: true },
    ]);
    const behind = await listOverdueInStream(rows.sql, own.partition, 52, overdue[0]?.bookmark);
    expect(behind.map(({ id }) => id)).toContain(present);
    expect(behind.map(({ id }) => id)).not.toContain(late);
    await returnMissing(rows.sql, [
      ...overdue.filter(({ id }) => id === late),
      ...overdue.map((row) => ({ ...row, seq: 99 })),
    ]);
    expect(await rows.one(late)).toMatchObject({ stream_seq: null, generation: 1 });
    expect(await rows.one(present)).toMatchObject({ stream_seq: 2, generation: 0 });
  });
});
