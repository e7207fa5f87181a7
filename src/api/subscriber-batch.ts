// Many subscribers in one request, an import: each is taken or refused for itself, and the answer says what became of it.

import { type Static, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Elysia } from "elysia";
import type { User } from "../db/users.ts";
import { DomainError } from "../domain/error.ts";
import { rawJsonElements, rawJsonMember } from "../lib/json.ts";
import type { Auth } from "./auth.ts";
import { jsonBodyWithList, rawMember, refuseUnstorable } from "./body.ts";
import { domainErrorOf, invalidFields, problemOf } from "./errors.ts";
import { fields } from "./fields.ts";
import { modelRef, operation } from "./operation.ts";
import type { ApiDeps } from "./ports.ts";
import { subscriberOf, NewSubscriberBody, newSubscriberOf } from "./subscribers.ts";
import { subscriberView } from "./views.ts";

const BATCH_MAX = 1_000;

const Batch = fields(
  {
    subscribers: Type.Array(Type.Unknown({ "x-docs": NewSubscriberBody }), {
      minItems: 1,
      maxItems: BATCH_MAX,
      "x-message": `A list of 1 to ${BATCH_MAX} subscribers`,
    }),
  },
  {
    example: {
      subscribers: [
        { email: "grace@example.com", first_name: "Grace", tags: ["navy"] },
        { email: "katherine@example.com", custom_fields: { plan: "pro" } },
      ],
    },
  },
);

const checker = TypeCompiler.Compile(NewSubscriberBody);

const itemSchema = {
  type: "object",
  required: ["status"],
  properties: {
    status: { type: "integer", description: "201, or the status of the problem.", example: 201 },
    subscriber: modelRef("Subscriber"),
    error: { $ref: "#/components/schemas/Problem" },
  },
};

export function subscriberBatchRoutes({ acceptance }: ApiDeps, auth: Auth) {
  /** Throws what POST /subscribers would answer for this one. */
  async function create(caller: User, item: unknown, text: string, path: string) {
    refuseUnstorable(item, path, text);
    const body = checked(item, path);
    const input = newSubscriberOf(caller, body, rawJsonMember(text, "custom_fields"), path);
    return subscriberOf(await acceptance.createSubscriber(input, { isImport: true }));
  }

  return new Elysia({ prefix: "/subscribers" }).use(auth).post(
    "/batch",
    async ({ caller, body, request }) => {
      const texts = rawJsonElements(rawMember(request, "subscribers")?.text ?? "");
      const settled = await Promise.allSettled(
        body.subscribers.map((item, index) =>
          create(caller, item, texts[index]?.text ?? "", `body.subscribers.${index}`),
        ),
      );
      return { data: itemsOf(settled.map((one) => (one.status === "fulfilled" ? one.value : refusalOf(one.reason)))) };
    },
    {
      parse: jsonBodyWithList("subscribers"),
      body: Batch,
      detail: operation({
        id: "create_subscribers",
        tag: "subscribers",
        summary: "Add many subscribers",
        description:
          "Up to 1,000, each taken or refused for itself: the answer has one entry for each, in their order. Publishes `subscriber.created` for each that is taken, in the lane `low`.",
        answer: {
          status: 200,
          description: "What became of each",
          schema: { type: "object", required: ["data"], properties: { data: { type: "array", items: itemSchema } } },
        },
        takes: "body",
      }),
    },
  );
}

function checked(item: unknown, path: string): Static<typeof NewSubscriberBody> {
  if (checker.Check(item)) return item;
  throw invalidFields(path, checker.Errors(item));
}

/** What was not foreseen fails the whole request, as it would elsewhere. */
function refusalOf(reason: unknown): DomainError {
  const error = domainErrorOf("UNKNOWN", reason);
  if (error === undefined) throw reason;
  return error;
}

/** Nothing was taken because we cannot take anything just now: then the whole request is answered so. */
function itemsOf(results: readonly (ReturnType<typeof subscriberOf> | DomainError)[]) {
  const [first] = results;
  const isUnavailable = (result: unknown) => result instanceof DomainError && result.code === "unavailable";
  if (results.every(isUnavailable)) throw first;
  return results.map((result) => {
    if (!(result instanceof DomainError)) return { status: 201, subscriber: subscriberView(result) };
    const error = problemOf(result);
    return { status: error.status, error };
  });
}
