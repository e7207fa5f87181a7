// The catalogue of what Fairpost itself publishes, with an example payload of each: exactly what a webhook receives.

import { Elysia } from "elysia";
import { DISABLED_REASONS, webhookDisabledData, webhookTestData } from "../domain/operational-event.ts";
import type { Json } from "../lib/json.ts";
import type { Auth } from "./auth.ts";
import { fields } from "./fields.ts";
import { operation, pageOfModel } from "./operation.ts";
import { pageOf, pageQuery } from "./paging.ts";

const TIMESTAMP = "2025-06-01T09:30:00.000Z";
const WEBHOOK_ID = "01972a3e-7c00-7000-8000-000000000002";

const subscriber = {
  id: "01972a3e-7c00-7000-8000-000000000001",
  email: "ada@example.com",
  first_name: "Ada",
  last_name: "Lovelace",
  tags: ["newsletter"],
  custom_fields: { plan: "pro" },
  status: "active",
  user_id: "01972a3e-7c00-7000-8000-000000000003",
  created_at: TIMESTAMP,
};

const EVENT_TYPES: readonly Json[] = [
  entry("subscriber.created", "A subscriber was added.", { subscriber }),
  entry("subscriber.updated", "Something about a subscriber changed.", { subscriber }),
  entry("subscriber.unsubscribed", "A subscriber's status became `unsubscribed`.", {
    subscriber: { ...subscriber, status: "unsubscribed" },
  }),
  entry("subscriber.deleted", "A subscriber was deleted; this is what it was.", { subscriber }),
  entry("subscriber.tag_added", "A subscriber got a tag.", { subscriber, tag: "newsletter" }),
  entry("subscriber.tag_removed", "A subscriber lost a tag.", {
    subscriber: { ...subscriber, tags: [] },
    tag: "newsletter",
  }),
  entry(
    "webhook.disabled",
    "A webhook was disabled, by a 410 or for want of success. Never sent to itself.",
    webhookDisabledData({ id: WEBHOOK_ID, url: "https://example.com/hooks" }, DISABLED_REASONS.hopeless),
  ),
  entry("webhook.test", "Sent on request to one webhook.", webhookTestData(WEBHOOK_ID)),
];

export function eventTypeRoutes(auth: Auth) {
  return new Elysia({ prefix: "/event-types" }).use(auth).get(
    "",
    ({ query }) => {
      const { skip, limit } = pageOf(query);
      return { data: EVENT_TYPES.slice(skip, skip + limit), count: EVENT_TYPES.length };
    },
    {
      query: fields(pageQuery),
      detail: operation({
        id: "list_event_types",
        tag: "events",
        summary: "List the types of events that Fairpost publishes",
        answer: { status: 200, description: "Types, each with an example", schema: pageOfModel("EventType") },
        takes: "parameters",
      }),
    },
  );
}

function entry(type: string, description: string, data: Json): Json {
  return { type, description, example: { type, timestamp: TIMESTAMP, data } };
}
