import { expect, test } from "bun:test";
import { ManualClock } from "../../src/lib/clock.ts";
import { Housekeeping } from "../../src/publish/housekeeping.ts";
import { startRows } from "../db/rows.ts";
import { eventually } from "../support/services.ts";

test("a task of housekeeping that fails ends no other, and is tried again", async () => {
  const rows = await startRows();
  const failed: string[] = [];
  const clock = new ManualClock();
  const housekeeping = new Housekeeping({
    database: rows.db,
    clock,
    observe: (name, fields) => void (name === "housekeeping.failed" && "task" in fields && failed.push(fields.task)),
    retentionDays: 30,
  });
  await rows.sql`SELECT ensure_day_partition('attempts', '2020-01-01')`;
  await rows.sql`ALTER FUNCTION ensure_day_partition(text, date) RENAME TO gone`;
  const user = await rows.user();
  await rows.sql`INSERT INTO subscribers (id, user_id, email) VALUES (gen_random_uuid(), ${user}, 'a@example.com')`;
  await rows.sql`UPDATE users SET deleted_at = now() WHERE id = ${user}`;

  await housekeeping.start();
  const oldDays = () => rows.sql`SELECT 1 FROM pg_class WHERE relname = 'attempts_20200101'`;
  await eventually(async () => {
    expect(await oldDays()).toHaveLength(0);
    expect(await rows.sql`SELECT 1 FROM subscribers WHERE user_id = ${user}`).toHaveLength(0);
  });
  expect(failed).toEqual(["partitions of events", "partitions of deliveries", "partitions of attempts"]);

  await rows.sql`ALTER FUNCTION gone(text, date) RENAME TO ensure_day_partition`;
  await rows.sql`DO $$ BEGIN EXECUTE 'DROP TABLE events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'); END $$`;
  await eventually(async () => {
    clock.advance(30_000);
    expect(
      await rows.sql`SELECT 1 FROM pg_class WHERE relname = 'events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')`,
    ).toHaveLength(1);
  });
  await housekeeping.stop();
  await rows.stop();
});
