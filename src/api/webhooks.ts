// Registrations of URLs. Only their creation and GET /webhooks/{id}/secret ever show a signing secret.

import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import {
  deleteWebhook,
  findWebhook,
  findWebhookSecret,
  insertWebhook,
  listWebhooks,
  markRecovery,
  rotateWebhookSecret,
  updateWebhook,
} from "../db/webhooks.ts";
import { DomainError, notFound } from "../domain/error.ts";
import { newId, type UserId, type WebhookId } from "../domain/ids.ts";
import { webhookTestData } from "../domain/operational-event.ts";
import { newWebhookSecret } from "../domain/webhook.ts";
import { jsonText, RawJson } from "../lib/json.ts";
import type { Auth } from "./auth.ts";
import { jsonBody, optionalJsonBody } from "./body.ts";
import { fields, idOf, idParams, instantOf, queryFlag, queryInstant } from "./fields.ts";
import { EXAMPLE_ORIGIN } from "./openapi.ts";
import { modelRef, operation, pageOfModel } from "./operation.ts";
import { pageOf, pageQuery } from "./paging.ts";
import type { ApiDeps } from "./ports.ts";
import { eventView, webhookView } from "./views.ts";
import { NewWebhook, newWebhookFields, secretOf, WebhookChange, webhookChangeOf } from "./webhook-fields.ts";

/** The echo of this very server: registered as it stands, deliveries arrive. */
const EXAMPLE_URL = `${EXAMPLE_ORIGIN}/api/v1/webhooks/test`;

const webhook = { status: 200, description: "The webhook", schema: modelRef("Webhook") };

export function webhookRoutes(deps: ApiDeps, auth: Auth) {
  const { db, cipher } = deps;
  return new Elysia({ prefix: "/webhooks" })
    .use(auth)
    .post(
      "",
      async ({ caller, body, set }) => {
        const id = newId<WebhookId>();
        const secret = secretOf(body);
        const checked = await newWebhookFields(deps, caller.id, body);
        const encrypted = { ciphertext: cipher.encrypt(secret, id), keyId: cipher.keyId };
        const created = await insertWebhook(db, caller.id, id, checked, encrypted);
        deps.onWebhookChanged(id);
        set.status = 201;
        return { ...webhookView(created), secret };
      },
      {
        parse: jsonBody,
        body: NewWebhook(EXAMPLE_URL),
        detail: operation({
          id: "create_webhook",
          tag: "webhooks",
          summary: "Register a webhook",
          description: "The answer has the signing secret. The URL may be registered once.",
          answer: {
            status: 201,
            description: "The new webhook, with its secret",
            schema: { allOf: [modelRef("Webhook"), modelRef("Secret")] },
          },
          errors: ["conflict"],
          takes: "body",
        }),
      },
    )
    .get(
      "",
      async ({ caller, query }) => {
        const filter = { includeInactive: query.include_inactive === "true" };
        const { data, count } = await listWebhooks(db, caller.id, filter, pageOf(query));
        return { data: data.map(webhookView), count };
      },
      {
        query: fields({ ...pageQuery, include_inactive: Type.Optional(queryFlag("Inactive ones as well.")) }),
        detail: operation({
          id: "list_webhooks",
          tag: "webhooks",
          summary: "List webhooks",
          answer: { status: 200, description: "Webhooks, oldest first", schema: pageOfModel("Webhook") },
          takes: "parameters",
        }),
      },
    )
    .get("/:id", async ({ caller, params }) => webhookView(await getWebhook(deps, caller.id, idOf(params))), {
      params: idParams("webhook"),
      detail: operation({
        id: "get_webhook",
        tag: "webhooks",
        summary: "Show a webhook",
        answer: webhook,
        errors: ["not_found"],
        takes: "parameters",
      }),
    })
    .patch(
      "/:id",
      async ({ caller, params, body }) => {
        const { id } = await getWebhook(deps, caller.id, idOf(params));
        const changed = await updateWebhook(db, caller.id, id, await webhookChangeOf(deps, caller.id, body));
        deps.onWebhookChanged(id);
        return webhookView(changed);
      },
      {
        parse: jsonBody,
        params: idParams("webhook"),
        body: WebhookChange,
        detail: operation({
          id: "update_webhook",
          tag: "webhooks",
          summary: "Change a webhook",
          description: "Turning it off cancels its pending deliveries; turning it on again does not revive them.",
          answer: webhook,
          errors: ["not_found", "conflict"],
          takes: "body",
        }),
      },
    )
    .delete(
      "/:id",
      async ({ caller, params, set }) => {
        const id = idOf<WebhookId>(params);
        if (!(await deleteWebhook(db, caller.id, id))) throw notFound("webhook");
        deps.onWebhookChanged(id);
        set.status = 204;
      },
      {
        parse: "none",
        params: idParams("webhook"),
        detail: operation({
          id: "delete_webhook",
          tag: "webhooks",
          summary: "Delete a webhook",
          description: "Cancels its pending deliveries. What was delivered stays readable.",
          answer: { status: 204, description: "Done" },
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    )
    .get(
      "/:id/secret",
      async ({ caller, params }) => {
        const id = idOf<WebhookId>(params);
        const encrypted = await findWebhookSecret(db, caller.id, id);
        if (encrypted === undefined) throw notFound("webhook");
        return { secret: cipher.decrypt(encrypted.ciphertext, id) };
      },
      {
        params: idParams("webhook"),
        detail: operation({
          id: "get_webhook_secret",
          tag: "webhooks",
          summary: "Show a webhook's signing secret",
          answer: { status: 200, description: "The secret", schema: modelRef("Secret") },
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    )
    .post(
      "/:id/rotate-secret",
      async ({ caller, params }) => {
        const id = idOf<WebhookId>(params);
        const secret = { ciphertext: cipher.encrypt(newWebhookSecret(), id), keyId: cipher.keyId };
        if (!(await rotateWebhookSecret(db, caller.id, id, secret))) throw notFound("webhook");
        deps.onWebhookChanged(id);
        return webhookView(await getWebhook(deps, caller.id, id));
      },
      {
        parse: "none",
        params: idParams("webhook"),
        detail: operation({
          id: "rotate_webhook_secret",
          tag: "webhooks",
          summary: "Change a webhook's signing secret",
          description:
            "Requests are signed with a new secret from now on, which `GET /webhooks/{id}/secret` shows, and for 24 hours with the former one as well: time for the receiver to change over.",
          answer: webhook,
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    )
    .post(
      "/:id/recover",
      async ({ caller, params, body, set }) => {
        const id = idOf<WebhookId>(params);
        const since = instantOf("body.since", body.since);
        if (!(await markRecovery(db, caller.id, id, since))) throw notFound("webhook");
        set.status = 202;
        return webhookView(await getWebhook(deps, caller.id, id));
      },
      {
        parse: optionalJsonBody,
        params: idParams("webhook"),
        body: fields(
          { since: Type.Optional(queryInstant("Deliveries made since then; without it all that are kept.")) },
          { example: { since: "2026-01-01T00:00:00Z" } },
        ),
        detail: operation({
          id: "recover_webhook",
          tag: "webhooks",
          summary: "Try again what has failed",
          description:
            "The schedule of each failed delivery of this webhook starts anew within a second or two, in the lane `low`.",
          answer: { ...webhook, status: 202 },
          errors: ["not_found", "conflict"],
          takes: "body",
        }),
      },
    )
    .post(
      "/:id/test",
      async ({ caller, params, set }) => {
        const { id, isActive } = await getWebhook(deps, caller.id, idOf(params));
        if (!isActive) throw new DomainError("conflict", "This webhook is inactive: nothing is sent to it.");
        const data = new RawJson(jsonText(webhookTestData(id)));
        set.status = 202;
        return eventView(
          await deps.acceptance.publishEvent({ userId: caller.id, type: "webhook.test", data, onlyTo: id }),
        );
      },
      {
        parse: "none",
        params: idParams("webhook"),
        detail: operation({
          id: "test_webhook",
          tag: "webhooks",
          summary: "Send a test event to a webhook",
          description: "An event `webhook.test` goes to this webhook alone, whatever it listens to.",
          answer: { status: 202, description: "The event", schema: modelRef("Event") },
          errors: ["not_found", "conflict"],
          takes: "parameters",
        }),
      },
    );
}

async function getWebhook(deps: ApiDeps, userId: UserId, id: WebhookId) {
  const found = await findWebhook(deps.db, userId, id);
  if (found === undefined) throw notFound("webhook");
  return found;
}
