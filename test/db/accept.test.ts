import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { acceptEvents, acceptSubscribers, sizeUpAccount, type SubscriberRow } from "../../src/db/accept.ts";
import type { Sql } from "../../src/db/database.ts";
import { changeSubscriberRow } from "../../src/db/subscriber-changes.ts";
import { markBacklogs } from "../../src/db/waiting.ts";
import { newId, type SubscriberId, type UserId } from "../../src/domain/ids.ts";
import { eventOf, type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
});
afterAll(() => rows.stop());

const subscriber = (userId: UserId, email: string): SubscriberRow => ({
  id: newId<SubscriberId>(),
  user_id: userId,
  email,
  first_name: null,
  last_name: null,
  tags: ["a", 'b"c'],
  custom_fields: `{"z":1,"a":12345678901234567890}`,
  status: "active",
});
const eventsOf = (subscribers: SubscriberRow[]) =>
  subscribers.map((one) => ({ ...eventOf(one.user_id, "subscriber.created"), subscriber_id: one.id }));
const accept = (subscribers: SubscriberRow[]) => acceptSubscribers(rows.sql, subscribers, eventsOf(subscribers));

describe("the fan-out", () => {
  test("reaches the webhooks that chose the type, and no others", async () => {
    const user = await rows.user();
    const other = await rows.user();
    const exact = await rows.webhook(user, { events: ["order.paid", "x"] });
    const prefix = await rows.webhook(user, { events: ["order.*"] });
    const all = await rows.webhook(user, { events: ["*"] });
    await rows.webhook(user, { events: ["order"] });
    await rows.webhook(user, { events: ["order.paid.*", "orders.*", "order.paid_late"] });
    await rows.webhook(user, { events: ["*"], isActive: false });
    await rows.webhook(user, { events: ["*"], isActive: false, isDeleted: true });
    await rows.webhook(other, { events: ["*"] });
    const { events, deliveries } = await acceptEvents(rows.sql, [eventOf(user, "order.paid")]);
    expect(events).toHaveLength(1);
    expect(deliveries.map((delivery) => delivery.webhook_id).toSorted()).toEqual(
      [exact.id, prefix.id, all.id].toSorted(),
    );
    expect(deliveries.every((delivery) => delivery.publish)).toBe(true);
    expect(new Set(deliveries.map(({ partition }) => partition))).toEqual(
      new Set([exact, prefix, all].map(({ partition }) => partition)),
    );
  });

  test("of an operational event goes by exact type only; onlyTo goes past the patterns, notTo leaves one out", async () => {
    const user = await rows.user();
    const named = await rows.webhook(user, { events: ["webhook.disabled"] });
    const also = await rows.webhook(user, { events: ["webhook.disabled", "*"] });
    const all = await rows.webhook(user, { events: ["*", "webhook.*"] });
    const idsOf = async (...args: Parameters<typeof eventOf>) =>
      (await acceptEvents(rows.sql, [eventOf(...args)])).deliveries.map((delivery) => delivery.webhook_id).toSorted();
    expect(await idsOf(user, "webhook.disabled")).toEqual([named.id, also.id].toSorted());
    expect(await idsOf(user, "webhook.disabled", { not_to: also.id })).toEqual([named.id]);
    expect(await idsOf(user, "webhook.test", { only_to: all.id })).toEqual([all.id]);
    const stranger = await rows.webhook(await rows.user());
    expect(await idsOf(user, "webhook.test", { only_to: stranger.id })).toEqual([]);
  });

  test("leaves lanes with a backlog and endpoints behind a shut gate to refill, due at once", async () => {
    const user = await rows.user();
    const behind = await rows.webhook(user);
    const shut = await rows.webhook(user);
    const open = await rows.webhook(user);
    await markBacklogs(rows.sql, [{ webhookId: behind.id, priority: "high" }]);
    await rows.sql`UPDATE endpoints SET open_until = now() + interval '1 minute' WHERE webhook_id = ${shut.id}`;
    await rows.sql`UPDATE endpoints SET open_until = now() WHERE webhook_id = ${open.id}`;
    const { deliveries } = await acceptEvents(rows.sql, [eventOf(user, "order.paid")]);
    const published = Object.fromEntries(deliveries.map(({ webhook_id, publish }) => [webhook_id, publish]));
    expect(published).toEqual({ [behind.id]: false, [shut.id]: false, [open.id]: true });
    for (const { id, publish } of deliveries) {
      const [row] = await rows.sql`SELECT due_at <= created_at AS is_due FROM deliveries WHERE id = ${id}`;
      expect(row?.["is_due"]).toBe(!publish);
    }
    const inNormal = await acceptEvents(rows.sql, [
      eventOf(user, "order.paid", { priority: "normal", only_to: behind.id }),
    ]);
    expect(inNormal.deliveries[0]?.publish).toBe(true);
  });

  test("writes the payload with the instant of acceptance, the same bytes that are published", async () => {
    const user = await rows.user();
    const { events } = await acceptEvents(rows.sql, [
      eventOf(user, "order.paid", { pieces: ['{"t":"', '","u":"', '"}'] }),
    ]);
    const { t, u } = JSON.parse(events[0]?.payload ?? "");
    expect(t).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(u).toBe(t);
    const [stored] = await rows.sql`SELECT payload FROM events WHERE id = ${events[0]?.id ?? ""}`;
    expect(stored?.["payload"]).toBe(events[0]?.payload ?? "");
    expect(Math.abs(Date.parse(t) - Date.parse(events[0]?.created_at ?? ""))).toBeLessThan(2);
  });
});

test("the instant of a change is that of its turn: the newest payload of a subscriber is what became of it", async () => {
  const user = await rows.user();
  const one = subscriber(user, "in-turn@example.com");
  await accept([one]);
  const instants: { timestamp: string; updatedAt: Date | undefined }[] = [];
  const change = (hasBegun?: () => void, mayGoOn?: Promise<void>) =>
    rows.sql.begin(async (tx) => {
      const sql = tx as unknown as Sql;
      await sql`SELECT now()`;
      hasBegun?.();
      await mayGoOn;
      const changed = await changeSubscriberRow(sql, user, one.id, { status: "unsubscribed" });
      const { events } = await acceptEvents(sql, [eventOf(user, "subscriber.updated")]);
      const { timestamp } = JSON.parse(events[0]?.payload ?? "{}") as { timestamp: string };
      instants.push({ timestamp, updatedAt: changed?.after.updatedAt });
    });
  const hasBegun = Promise.withResolvers<void>();
  const mayGoOn = Promise.withResolvers<void>();
  const older = change(hasBegun.resolve, mayGoOn.promise);
  await hasBegun.promise;
  await Bun.sleep(20);
  await change();
  await Bun.sleep(20);
  mayGoOn.resolve();
  await older;
  const [first, second] = instants;
  expect(Date.parse(second?.timestamp ?? "")).toBeGreaterThan(Date.parse(first?.timestamp ?? ""));
  expect(second?.updatedAt?.getTime()).toBeGreaterThan(first?.updatedAt?.getTime() ?? 0);
});

describe("subscribers", () => {
  test("are created with their event, unless the e-mail is taken, whatever its case, or the user unknown", async () => {
    const user = await rows.user();
    await rows.webhook(user);
    const deleted = await rows.user();
    await rows.sql`UPDATE users SET deleted_at = now() WHERE id = ${deleted}`;
    await accept([subscriber(user, "Taken@example.com")]);
    const [fresh, taken, twin, unknown, gone] = [
      subscriber(user, "fresh@example.com"),
      subscriber(user, "taken@EXAMPLE.com"),
      subscriber(user, "FRESH@example.com"),
      subscriber(newId<UserId>(), "fresh@example.com"),
      subscriber(deleted, "fresh@example.com"),
    ] as const;
    const answer = await accept([fresh, taken, twin, unknown, gone]);
    expect([fresh, taken, twin, unknown, gone].map(({ id }) => answer.known.has(id))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(answer.created.size).toBe(1);
    expect(answer.events).toHaveLength(1);
    expect(answer.deliveries).toHaveLength(1);
    const [row] =
      await rows.sql`SELECT custom_fields::text AS fields, tags FROM subscribers WHERE id = ${[...answer.created.keys()][0] ?? ""}`;
    expect(row).toMatchObject({ fields: fresh.custom_fields, tags: fresh.tags });
  });

  test("of two batches with the same e-mails in opposite order are created once, and nobody deadlocks", async () => {
    const user = await rows.user();
    for (let round = 0; round < 10; round += 1) {
      const emails = Array.from({ length: 100 }, (_, index) => `${round}-${index}@example.com`);
      const batches = [emails, emails.toReversed(), emails].map((list) => list.map((email) => subscriber(user, email)));
      const answers = await Promise.all(batches.map(accept));
      expect(answers.reduce((sum, { created }) => sum + created.size, 0)).toBe(100);
    }
  });

  test("of two in one batch with the same e-mail the first is taken, whatever the others are", async () => {
    const user = await rows.user();
    const pairs = Array.from({ length: 40 }, (_, nth) => {
      const email = `${(nth * 7) % 40}.twin@example.com`;
      return [subscriber(user, email), subscriber(user, email.toUpperCase())] as const;
    });
    const { created, known } = await accept(pairs.flat());
    expect(known.size).toBe(80);
    expect([...created.keys()].toSorted()).toEqual(pairs.map(([first]) => first.id).toSorted());
  });

  test("of a batch are delivered in its order, not in that of their e-mails", async () => {
    const user = await rows.user();
    await rows.webhook(user, { events: ["*"] });
    const batch = Array.from({ length: 40 }, (_, nth) => subscriber(user, `${(nth * 7) % 40}.order@example.com`));
    const events = eventsOf(batch);
    const { deliveries } = await acceptSubscribers(rows.sql, batch, events);
    expect(deliveries.map(({ event_id }) => event_id)).toEqual(events.map(({ id }) => id));
  });

  test("are counted no further than need be", async () => {
    const user = await rows.user();
    await accept(Array.from({ length: 3 }, (_, index) => subscriber(user, `${index}@example.com`)));
    for (let made = 0; made < 3; made += 1) await rows.webhook(user);
    expect(await sizeUpAccount(rows.sql, user, 1, 2)).toEqual({ subscribers: 2, webhooks: 3 });
    expect(await sizeUpAccount(rows.sql, user, 3, 9)).toEqual({ subscribers: 3, webhooks: 3 });
  });
});
