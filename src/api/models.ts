// The objects of the answers, as the documentation describes them.

import { DELIVERY_STATUSES } from "../domain/delivery.ts";
import { PRIORITIES } from "../domain/priority.ts";
import { SUBSCRIBER_STATUSES } from "../domain/subscriber.ts";
import type { ModelName } from "./operation.ts";

const text = { type: "string" };
const textOrNull = { type: "string", nullable: true };
const flag = { type: "boolean" };
const count = { type: "integer" };
const id = { type: "string", format: "uuid" };
const instant = { type: "string", format: "date-time" };
const instantOrNull = { ...instant, nullable: true };
const texts = { type: "array", items: text };
const oneOf = (values: readonly string[]) => ({ type: "string", enum: [...values] });
const anything = { description: "Any JSON." };

/** Every property is always there. */
function model(properties: Record<string, object>) {
  return { type: "object", required: Object.keys(properties), properties };
}

export const MODELS: Record<ModelName | "Problem", object> = {
  Token: model({ access_token: text, token_type: oneOf(["bearer"]) }),
  User: model({
    id,
    email: text,
    full_name: textOrNull,
    is_active: flag,
    is_superuser: flag,
    created_at: instant,
    updated_at: instant,
  }),
  Webhook: model({
    id,
    user_id: id,
    url: text,
    events: texts,
    description: textOrNull,
    is_active: flag,
    disabled_reason: textOrNull,
    max_in_flight: count,
    headers: { type: "object", additionalProperties: text },
    circuit: oneOf(["closed", "open", "half_open"]),
    last_success_at: instantOrNull,
    created_at: instant,
    updated_at: instant,
  }),
  Secret: model({ secret: { type: "string", example: "whsec_..." } }),
  Subscriber: model({
    id,
    email: text,
    first_name: textOrNull,
    last_name: textOrNull,
    tags: texts,
    custom_fields: { type: "object" },
    status: oneOf(SUBSCRIBER_STATUSES),
    user_id: id,
    created_at: instant,
    updated_at: instant,
  }),
  Event: model({ id, type: text, data: anything, priority: oneOf(PRIORITIES), user_id: id, created_at: instant }),
  Delivery: model({
    id,
    event_id: id,
    event_type: text,
    webhook_id: id,
    user_id: id,
    status: oneOf(DELIVERY_STATUSES),
    priority: oneOf(PRIORITIES),
    attempt_count: count,
    next_attempt_at: instantOrNull,
    last_error: textOrNull,
    created_at: instant,
    completed_at: instantOrNull,
  }),
  EventType: model({ type: text, description: text, example: { type: "object" } }),
  Problem: {
    type: "object",
    description: "RFC 9457.",
    required: ["type", "title", "status", "detail"],
    properties: {
      type: { type: "string", example: "/problems/invalid" },
      title: text,
      status: count,
      detail: text,
      errors: { type: "array", items: model({ path: { type: "string", example: "body.events.0" }, message: text }) },
    },
  },
};
