// Two writers at one row: the result of an attempt, and the note of where its message is.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { noteSequences, recordResults } from "../../src/db/results.ts";
import type { Sql } from "../../src/db/database.ts";
import { type AttemptId, type DeliveryId, newId } from "../../src/domain/ids.ts";
import { eventually } from "../support/services.ts";
import { type Rows, startRows, type Webhook } from "./rows.ts";

let rows: Rows;
let webhook: Webhook;
beforeAll(async () => {
  rows = await startRows();
  webhook = await rows.webhook(await rows.user());
});
afterAll(() => rows.stop());

const record = (sql: Sql, deliveryIds: readonly DeliveryId[]) =>
  recordResults(
    sql,
    deliveryIds.map((deliveryId) => ({
      deliveryId,
      generation: 0,
      place: { kind: "completed", status: "delivered" },
      error: null,
      attempt: { id: newId<AttemptId>(), attempt: 1, statusCode: 200, latencyMs: 3, error: null, responseBody: null },
      agoMs: 5,
    })),
  );
const note = (sql: Sql, deliveryIds: readonly DeliveryId[]) =>
  noteSequences(
    sql,
    deliveryIds.map((deliveryId, index) => ({ deliveryId, generation: 0, seq: index + 1, epoch: 1 })),
  );

/** Runs `first` and commits it only once `second` waits for it. */
async function inEachOthersWay(first: (sql: Sql) => Promise<void>, second: (sql: Sql) => Promise<void>): Promise<void> {
  const begun = Promise.withResolvers<void>();
  const mayCommit = Promise.withResolvers<void>();
  const one = rows.sql.begin(async (transaction) => {
    await first(transaction as unknown as Sql);
    begun.resolve();
    await mayCommit.promise;
  });
  await begun.promise;
  let hasEnded = false;
  const two = second(rows.sql).then(() => (hasEnded = true));
  await eventually(async () => {
    const [row] = await rows.sql`SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted`;
    expect(hasEnded || Number(row?.["count"]) > 0).toBe(true);
  });
  mayCommit.resolve();
  await Promise.all([one, two]);
}

test.each([1, 2, 30, 400])("a result that waits for a note is recorded all the same (%d rows)", async (count) => {
  const ids = (await Promise.all(Array.from({ length: count }, () => rows.deliver(webhook)))).flat() as DeliveryId[];
  await inEachOthersWay(
    (sql) => note(sql, ids),
    (sql) => record(sql, ids),
  );
  const states = await Promise.all(ids.map((id) => rows.one(id)));
  expect(states.filter(({ status }) => status !== "delivered")).toHaveLength(0);
});
