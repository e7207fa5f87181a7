// Events: what happened, and what the caller publishes of its own.

import { Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { listDeliveriesOfEvent } from "../db/deliveries.ts";
import { findEvent, listEvents } from "../db/events.ts";
import { invalid, notFound } from "../domain/error.ts";
import { isReserved } from "../domain/event-type.ts";
import type { EventId } from "../domain/ids.ts";
import { EVENT_DATA_BYTES_MAX } from "../domain/limits.ts";
import { PRIORITIES } from "../domain/priority.ts";
import type { RawJson } from "../lib/json.ts";
import type { Auth } from "./auth.ts";
import { jsonBody, rawMember } from "./body.ts";
import { eventType, fields, idOf, idParams, oneOf } from "./fields.ts";
import { modelRef, operation, windowOfModel } from "./operation.ts";
import { windowAnswer, windowOf, windowQuery } from "./paging.ts";
import type { ApiDeps } from "./ports.ts";
import { deliveryView, eventView } from "./views.ts";

/** Deliveries that the answer about one event lists; the rest is at GET /deliveries. */
const DELIVERIES_LISTED_MAX = 100;

const NewEvent = fields(
  {
    type: eventType("Any type but `subscriber.*` and `webhook.*`."),
    data: Type.Unknown({ description: "Any JSON; sent on byte for byte." }),
    priority: Type.Optional(oneOf(PRIORITIES, "May lower the account's lane, never raise it.")),
  },
  { example: { type: "order.paid", data: { order_id: 1042, total: "49.90", currency: "EUR" } } },
);

export function eventRoutes(deps: ApiDeps, auth: Auth) {
  const { db, acceptance } = deps;
  return new Elysia({ prefix: "/events" })
    .use(auth)
    .post(
      "",
      async ({ caller, body, request, set }) => {
        if (isReserved(body.type)) throw invalid("body.type", "subscriber.* and webhook.* are made by Fairpost alone.");
        const { type, priority } = body;
        const event = await acceptance.publishEvent({ userId: caller.id, type, data: dataOf(request), priority });
        set.status = 202;
        return eventView(event);
      },
      {
        parse: jsonBody,
        body: NewEvent,
        detail: operation({
          id: "publish_event",
          tag: "events",
          summary: "Publish an event",
          description: "It is stored when this answers, and goes to every matching active webhook.",
          answer: { status: 202, description: "The event", schema: modelRef("Event") },
          takes: "body",
        }),
      },
    )
    .get(
      "",
      async ({ caller, query }) =>
        windowAnswer(await listEvents(db, caller.id, { type: query.type }, windowOf(query)), eventView),
      {
        query: fields({ ...windowQuery, type: Type.Optional(eventType("Only events of this type.")) }),
        detail: operation({
          id: "list_events",
          tag: "events",
          summary: "List events",
          description: "A page ends early where events are large; `next_cursor` leads on.",
          answer: { status: 200, description: "Events, newest first", schema: windowOfModel("Event") },
          takes: "parameters",
        }),
      },
    )
    .get(
      "/:id",
      async ({ caller, params }) => {
        const event = await findEvent(db, caller.id, idOf<EventId>(params));
        if (event === undefined) throw notFound("event");
        const deliveries = await listDeliveriesOfEvent(db, caller.id, event.id, DELIVERIES_LISTED_MAX);
        return { ...eventView(event), deliveries: deliveries.map(deliveryView) };
      },
      {
        params: idParams("event"),
        detail: operation({
          id: "get_event",
          tag: "events",
          summary: "Show an event",
          answer: {
            status: 200,
            description: `The event and up to ${DELIVERIES_LISTED_MAX} of its deliveries`,
            schema: {
              allOf: [
                modelRef("Event"),
                { type: "object", properties: { deliveries: { type: "array", items: modelRef("Delivery") } } },
              ],
            },
          },
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    );
}

function dataOf(request: Request): RawJson {
  const data = rawMember(request, "data");
  if (data === undefined) throw invalid("body.data", "Required");
  if (Buffer.byteLength(data.text) > EVENT_DATA_BYTES_MAX) {
    throw invalid("body.data", `Up to ${EVENT_DATA_BYTES_MAX} bytes of JSON`);
  }
  return data;
}
