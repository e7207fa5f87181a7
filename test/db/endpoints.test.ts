// What the delivery side writes of an endpoint, against a change of its webhook by the owner.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { disableWebhook, saveCircuit } from "../../src/db/endpoints.ts";
import { eventually } from "../support/services.ts";
import { type Rows, startRows, type Webhook } from "./rows.ts";

let rows: Rows;
let webhook: Webhook;
beforeAll(async () => {
  rows = await startRows();
});
afterAll(() => rows.stop());

const newWebhook = async () => {
  webhook = await rows.webhook(await rows.user());
  // As the rows' helper makes it.
  return { webhookId: webhook.id, url: webhook.id as string };
};
const standing = async () => {
  const [row] = await rows.sql`SELECT w.is_active, w.disabled_reason, p.cancel_before, p.circuit FROM webhooks w
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

describe("a circuit", () => {
  const opened = { circuit: { isOpen: true, failures: 5, openings: 1 }, shutForMs: 1_000, isFailing: true };

  test("is saved for the URL that it is of", async () => {
    const endpoint = await newWebhook();
    await saveCircuit(rows.sql, { ...endpoint, url: "https://example.com/former" }, opened);
    expect(await standing()).toMatchObject({ circuit: "closed" });
    await saveCircuit(rows.sql, endpoint, opened);
    expect(await standing()).toMatchObject({ circuit: "open" });
  });

  test("of a URL that is being changed just now waits for the change, and leaves its fresh start", async () => {
    const endpoint = await newWebhook();
    let saving: Promise<void> | undefined;
    await rows.sql.begin(async (owner) => {
      await owner`UPDATE webhooks SET url = 'https://example.com/new' WHERE id = ${webhook.id}`;
      await owner`UPDATE endpoints SET circuit = 'closed' WHERE webhook_id = ${webhook.id}`;
      saving = saveCircuit(rows.sql, endpoint, opened);
      await eventually(async () => {
        const waiting = await rows.sql`SELECT 1 FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        expect(waiting).toHaveLength(1);
      });
    });
    await saving;
    expect(await standing()).toMatchObject({ circuit: "closed" });
  });
});
