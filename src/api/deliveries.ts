// Deliveries: what became of each event at each webhook, and the retry of those that ended.

import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { listAttempts } from "../db/attempts.ts";
import { findDelivery, listDeliveries, replayDelivery } from "../db/deliveries.ts";
import { DELIVERY_STATUSES } from "../domain/delivery.ts";
import { notFound } from "../domain/error.ts";
import type { DeliveryId, WebhookId } from "../domain/ids.ts";
import type { Auth } from "./auth.ts";
import { eventType, fields, idOf, idParams, oneOf, uuid } from "./fields.ts";
import { modelRef, operation, windowOfModel } from "./operation.ts";
import { windowAnswer, windowOf, windowQuery } from "./paging.ts";
import type { ApiDeps } from "./ports.ts";
import { attemptView, deliveryView } from "./views.ts";

const attempts = {
  type: "array",
  items: {
    type: "object",
    properties: {
      attempt: { type: "integer" },
      status_code: { type: "integer", nullable: true },
      error: { type: "string", nullable: true },
      latency_ms: { type: "integer" },
      response_body: { type: "string", nullable: true },
      created_at: { type: "string", format: "date-time" },
    },
  },
};

export function deliveryRoutes(deps: ApiDeps, auth: Auth) {
  const { db } = deps;
  return new Elysia({ prefix: "/deliveries" })
    .use(auth)
    .get(
      "",
      async ({ caller, query }) => {
        const filter = {
          status: query.status,
          webhookId: query.webhook_id as WebhookId | undefined,
          eventType: query.event_type,
        };
        return windowAnswer(await listDeliveries(db, caller.id, filter, windowOf(query)), deliveryView);
      },
      {
        query: fields({
          ...windowQuery,
          status: Type.Optional(oneOf(DELIVERY_STATUSES)),
          webhook_id: Type.Optional(uuid("Only deliveries to this webhook.")),
          event_type: Type.Optional(eventType("Only deliveries of events of this type.")),
        }),
        detail: operation({
          id: "list_deliveries",
          tag: "deliveries",
          summary: "List deliveries",
          answer: { status: 200, description: "Deliveries, newest first", schema: windowOfModel("Delivery") },
          takes: "parameters",
        }),
      },
    )
    .get(
      "/:id",
      async ({ caller, params }) => {
        const delivery = await findDelivery(db, caller.id, idOf<DeliveryId>(params));
        if (delivery === undefined) throw notFound("delivery");
        const made = await listAttempts(db, caller.id, delivery.id);
        return { ...deliveryView(delivery), attempts: made.map(attemptView) };
      },
      {
        params: idParams("delivery"),
        detail: operation({
          id: "get_delivery",
          tag: "deliveries",
          summary: "Show a delivery and its attempts",
          answer: {
            status: 200,
            description: "The delivery and its attempts",
            schema: { allOf: [modelRef("Delivery"), { type: "object", properties: { attempts } }] },
          },
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    )
    .post(
      "/:id/retry",
      async ({ caller, params, set }) => {
        const replayed = await replayDelivery(db, caller.id, idOf<DeliveryId>(params));
        set.status = 202;
        return deliveryView(replayed);
      },
      {
        parse: "none",
        params: idParams("delivery"),
        detail: operation({
          id: "retry_delivery",
          tag: "deliveries",
          summary: "Send a delivery again",
          description: "Starts its schedule anew, in the lane `low`. Not while it is pending, or its webhook is off.",
          answer: { status: 202, description: "The delivery, pending again", schema: modelRef("Delivery") },
          errors: ["not_found", "conflict"],
          takes: "parameters",
        }),
      },
    );
}
