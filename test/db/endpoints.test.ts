// What the delivery side writes of an endpoint, against a change of its webhook by the owner.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { disableWebhook } from "../../src/db/endpoints.ts";
import { type Rows, startRows, type Webhook } from "./rows.ts";

let rows: Rows;
let webhook: Webhook;
beforeAll(async () => {
  rows = await startRows();
}, 30_000);
afterAll(() => rows.stop());

const newWebhook = async () => {
  webhook = await rows.webhook(await rows.user());
  // As the rows' helper makes it.
  return { webhookId: webhook.id, url: webhook.id as string };
};
const standing = async () => {
  const [row] = await rows.sql`SELECT w.is_active, w.disabled_reason, p.cancel_before FROM webhooks w
    JOIN endpoints p ON p.webhook_id = w.id WHERE w.id = ${webhook.id}`;
  return row;
};

describe("a webhook", () => {
  test("is disabled once, and what is pending is marked for cancellation", async () => {
    const endpoint = await newWebhook();
    expect(await disableWebhook(rows.sql, endpoint, "gone")).toBe(true);
    expect(await standing()).toMatchObject({ is_active: false, disabled_reason: "gone" });
    expect((await standing())?.["cancel_before"]).toBeDate();
    expect(await disableWebhook(rows.sql, endpoint, "gone")).toBe(false);
  });

  test("is not disabled for what its former URL answered", async () => {
    const endpoint = await newWebhook();
    await rows.sql`UPDATE webhooks SET url = 'https://example.com/new' WHERE id = ${webhook.id}`;
    expect(await disableWebhook(rows.sql, endpoint, "gone")).toBe(false);
    expect(await standing()).toMatchObject({ is_active: true, disabled_reason: null, cancel_before: null });
  });
});
