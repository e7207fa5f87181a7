// Changes and their events, on a real Postgres: both or neither.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { AcceptEvents } from "../../src/publish/accept-events.ts";
import { Accounts } from "../../src/publish/accounts.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { GiveWay } from "../../src/publish/give-way.ts";
import { type Rows, startRows, type Webhook } from "../db/rows.ts";

let rows: Rows;
let acceptance: AcceptEvents;
const published: string[] = [];
beforeAll(async () => {
  rows = await startRows();
  const outgoing = {
    publish: async ({ webhookId }: { webhookId: string }) => {
      published.push(webhookId);
      return { kind: "stored", seq: 1 } as const;
    },
  };
  const announcer = new Announcer({ outgoing, clock, observe: () => {}, onAccepted: () => {}, restMs: () => 0 });
  const giveWay = new GiveWay({ clock, lagMs: () => 0, calmestLagMs: () => 0 });
  acceptance = new AcceptEvents({
    database: rows.db,
    accounts: new Accounts(rows.db, clock),
    announcer,
    giveWay,
    clock,
  });
});
afterAll(async () => {
  await acceptance.stop();
  await rows.stop();
});

const isActive = async ({ id }: Webhook) =>
  (await rows.sql`SELECT is_active FROM webhooks WHERE id = ${id}`)[0]?.["is_active"] as boolean;
const payloadsOf = async ({ userId }: Webhook) => {
  const events = await rows.sql`SELECT payload FROM events WHERE user_id = ${userId}`;
  return events.map(({ payload }) => JSON.parse(payload));
};

describe("a webhook that is to be disabled", () => {
  // The rows' helper makes its URL of its id.
  const disable = ({ id, userId }: Webhook, url: string = id) =>
    acceptance.disableWebhook({ webhookId: id, userId, url }, "gone");

  test("is, once, and its owner's other webhooks that asked for it by name are told", async () => {
    const user = await rows.user();
    const events = ["webhook.disabled"];
    const [gone, watching] = [await rows.webhook(user, { events }), await rows.webhook(user, { events })];
    expect(await Promise.all([disable(gone), disable(gone)])).toEqual(expect.arrayContaining([true, false]));
    expect(await isActive(gone)).toBe(false);
    const data = { webhook: { id: gone.id, url: gone.id }, reason: "gone" };
    expect(await payloadsOf(gone)).toMatchObject([{ type: "webhook.disabled", data }]);
    expect(published).toEqual([watching.id]);
  });

  test("is not when it has another URL by now, and nobody is told", async () => {
    const webhook = await rows.webhook(await rows.user());
    expect(await disable(webhook, "https://example.com/former")).toBe(false);
    expect(await isActive(webhook)).toBe(true);
    expect(await payloadsOf(webhook)).toEqual([]);
  });

  test("stays active when its event cannot be accepted, so that the next answer disables it and tells of it", async () => {
    const webhook = await rows.webhook(await rows.user());
    await rows.sql`ALTER TABLE events ADD CONSTRAINT no_more CHECK (type <> 'webhook.disabled') NOT VALID`;
    expect(await disable(webhook).catch(() => "failed")).toBe("failed");
    await rows.sql`ALTER TABLE events DROP CONSTRAINT no_more`;
    expect(await isActive(webhook)).toBe(true);
    expect(await disable(webhook)).toBe(true);
    expect(await payloadsOf(webhook)).toHaveLength(1);
  });
});
