// Contacts on the caller's mailing list. Every change is accepted together with the events that tell of it.

import { type Static, Type } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { findSubscriber, listSubscribers } from "../db/subscribers.ts";
import type { User } from "../db/users.ts";
import { DomainError, invalid, notFound } from "../domain/error.ts";
import type { SubscriberId, UserId } from "../domain/ids.ts";
import { EVENT_DATA_BYTES_MAX } from "../domain/limits.ts";
import {
  type NewSubscriber,
  SUBSCRIBER_STATUSES,
  type Subscriber,
  type SubscriberChange as Change,
} from "../domain/subscriber.ts";
import { RawJson } from "../lib/json.ts";
import type { CreatedSubscriber } from "../publish/acceptance.ts";
import { unreachable } from "../lib/unreachable.ts";
import type { Auth } from "./auth.ts";
import { jsonBody, rawMember } from "./body.ts";
import { email, fields, idOf, idParams, text, textOrNull, oneOf, queryText, uuid } from "./fields.ts";
import { modelRef, operation, pageOfModel } from "./operation.ts";
import { pageOf, pageQuery } from "./paging.ts";
import type { ApiDeps } from "./ports.ts";
import { subscriberView } from "./views.ts";

const TAGS_MAX = 100;

const name = () => textOrNull(255);
const members = {
  email: email(),
  first_name: Type.Optional(name()),
  last_name: Type.Optional(name()),
  tags: Type.Optional(Type.Array(text(1, 100), { maxItems: TAGS_MAX })),
  custom_fields: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: "Any JSON object." })),
  status: Type.Optional(oneOf(SUBSCRIBER_STATUSES)),
};

export const NewSubscriberBody = fields(
  { ...members, user_id: Type.Optional(uuid("Whose list; another user's for a superuser only.")) },
  {
    example: {
      email: "ada@example.com",
      first_name: "Ada",
      last_name: "Lovelace",
      tags: ["newsletter"],
      custom_fields: { plan: "pro" },
    },
  },
);
const SubscriberChange = fields(Type.Partial(fields(members)).properties, {
  example: { tags: ["newsletter", "vip"], status: "active" },
});

const subscriber = { status: 200, description: "The subscriber", schema: modelRef("Subscriber") };

export function subscriberRoutes(deps: ApiDeps, auth: Auth) {
  const { db, acceptance } = deps;
  return new Elysia({ prefix: "/subscribers" })
    .use(auth)
    .post(
      "",
      async ({ caller, body, request, set }) => {
        const input = newSubscriberOf(caller, body, rawMember(request, "custom_fields"));
        const created = subscriberOf(await acceptance.createSubscriber(input));
        set.status = 201;
        return subscriberView(created);
      },
      {
        parse: jsonBody,
        body: NewSubscriberBody,
        detail: operation({
          id: "create_subscriber",
          tag: "subscribers",
          summary: "Add a subscriber",
          description: "Publishes `subscriber.created`.",
          answer: { status: 201, description: "The new subscriber", schema: modelRef("Subscriber") },
          errors: ["not_found", "conflict"],
          takes: "body",
        }),
      },
    )
    .get(
      "",
      async ({ caller, query }) => {
        const { data, count, isCut } = await listSubscribers(db, caller.id, query, pageOf(query));
        if (isCut) throw invalid("query.limit", `Too many of this size for one answer: ask for up to ${data.length}`);
        return { data: data.map(subscriberView), count };
      },
      {
        query: fields({
          ...pageQuery,
          search: Type.Optional(queryText("Part of the e-mail or name, ignoring case.")),
          status: Type.Optional(oneOf(SUBSCRIBER_STATUSES)),
          tag: Type.Optional(queryText("One of the subscriber's tags, exactly.")),
        }),
        detail: operation({
          id: "list_subscribers",
          tag: "subscribers",
          summary: "List subscribers",
          description:
            "Where they are too large together for one answer, it is 422 and says which `limit` goes through.",
          answer: { status: 200, description: "Subscribers, newest first", schema: pageOfModel("Subscriber") },
          takes: "parameters",
        }),
      },
    )
    .get("/:id", async ({ caller, params }) => subscriberView(await getSubscriber(deps, caller.id, idOf(params))), {
      params: idParams("subscriber"),
      detail: operation({
        id: "get_subscriber",
        tag: "subscribers",
        summary: "Show a subscriber",
        answer: subscriber,
        errors: ["not_found"],
        takes: "parameters",
      }),
    })
    .patch(
      "/:id",
      async ({ caller, params, body, request }) => {
        const change = changeOf(body, request);
        return subscriberView(await acceptance.changeSubscriber(caller.id, idOf<SubscriberId>(params), change));
      },
      {
        parse: jsonBody,
        params: idParams("subscriber"),
        body: SubscriberChange,
        detail: operation({
          id: "update_subscriber",
          tag: "subscribers",
          summary: "Change a subscriber",
          description:
            "Publishes `subscriber.updated`, and `.unsubscribed`, `.tag_added` and `.tag_removed` where that happened. " +
            "Where so many tags change that their events are too many at once, the answer (422) says how many may.",
          answer: subscriber,
          errors: ["not_found", "conflict"],
          takes: "body",
        }),
      },
    )
    .delete(
      "/:id",
      async ({ caller, params, set }) => {
        await acceptance.deleteSubscriber(caller.id, idOf<SubscriberId>(params));
        set.status = 204;
      },
      {
        parse: "none",
        params: idParams("subscriber"),
        detail: operation({
          id: "delete_subscriber",
          tag: "subscribers",
          summary: "Delete a subscriber",
          description: "Publishes `subscriber.deleted`.",
          answer: { status: 204, description: "Done" },
          errors: ["not_found"],
          takes: "parameters",
        }),
      },
    );
}

async function getSubscriber(deps: ApiDeps, userId: UserId, id: SubscriberId): Promise<Subscriber> {
  const found = await findSubscriber(deps.db, userId, id);
  if (found === undefined) throw notFound("subscriber");
  return found;
}

/** Throws conflict, and not_found for the user. */
export function subscriberOf(result: CreatedSubscriber): Subscriber {
  switch (result.kind) {
    case "created":
      return result.subscriber;
    case "email_taken":
      throw new DomainError("conflict", "A subscriber with this e-mail exists already.");
    case "user_unknown":
      throw notFound("user");
    default:
      return unreachable(result);
  }
}

/** `customFields`: as the caller wrote them. Throws not_found for another's list, and invalid. */
export function newSubscriberOf(
  caller: User,
  body: Static<typeof NewSubscriberBody>,
  customFields: RawJson | undefined,
  path = "body",
): NewSubscriber {
  const userId = (body.user_id?.toLowerCase() ?? caller.id) as UserId;
  if (userId !== caller.id && !caller.isSuperuser) throw notFound("user");
  return {
    userId,
    email: body.email,
    firstName: body.first_name ?? null,
    lastName: body.last_name ?? null,
    tags: [...new Set(body.tags)],
    customFields: checkedFields(customFields, path) ?? new RawJson("{}"),
    status: body.status ?? "active",
  };
}

function changeOf(body: Static<typeof SubscriberChange>, request: Request): Change {
  const change: Change = {};
  const customFields = checkedFields(rawMember(request, "custom_fields"), "body");
  if (body.email !== undefined) change.email = body.email;
  if (body.first_name !== undefined) change.firstName = body.first_name;
  if (body.last_name !== undefined) change.lastName = body.last_name;
  if (body.tags !== undefined) change.tags = [...new Set(body.tags)];
  if (customFields !== undefined) change.customFields = customFields;
  if (body.status !== undefined) change.status = body.status;
  return change;
}

/** They travel in every event of the subscriber, so the bound of events' data holds. */
function checkedFields(raw: RawJson | undefined, path: string): RawJson | undefined {
  if (raw !== undefined && Buffer.byteLength(raw.text) > EVENT_DATA_BYTES_MAX) {
    throw invalid(`${path}.custom_fields`, `Up to ${EVENT_DATA_BYTES_MAX} bytes of JSON`);
  }
  return raw;
}
