// What the documentation says of a route: its name, and every answer that it may give.

import type { ErrorCode } from "../domain/error.ts";
import { STATUSES } from "./errors.ts";

type Tag = "login" | "users" | "webhooks" | "subscribers" | "events" | "deliveries" | "status";
export type ModelName = "User" | "Webhook" | "Subscriber" | "Event" | "Delivery" | "EventType" | "Token" | "Secret";

type Answer = { status: number; description: string; schema?: object; contentType?: string };

type Operation = {
  id: string;
  tag: Tag;
  summary: string;
  description?: string;
  answer: Answer;
  /** Beyond those that follow from `takes` and from signing in. */
  errors?: readonly ErrorCode[];
  /** `body` brings malformed and too_large, everything brings invalid. */
  takes?: "body" | "parameters" | "nothing";
  /** `optional`: a token is not needed, but counts. */
  access?: "signed_in" | "optional" | "public";
};

const SIGNED_IN = { OAuth2PasswordBearer: [] };
const SECURITY = { signed_in: [SIGNED_IN], optional: [{}, SIGNED_IN], public: [] };

/** A route's `detail`. */
export function operation(of: Operation) {
  const takes = of.takes ?? "nothing";
  const codes: ErrorCode[] = [
    ...(takes === "body" ? (["malformed", "too_large"] as const) : []),
    ...(takes === "nothing" ? [] : (["invalid"] as const)),
    ...(of.access === "public" ? [] : (["unauthenticated", "inactive_user"] as const)),
    ...(of.errors ?? []),
    ...(of.tag === "status" ? [] : (["unavailable"] as const)),
  ];
  return {
    operationId: of.id,
    tags: [of.tag],
    summary: of.summary,
    ...(of.description === undefined ? {} : { description: of.description }),
    security: SECURITY[of.access ?? "signed_in"],
    responses: { [of.answer.status]: answerOf(of.answer), ...problemsOf(codes) },
  };
}

export const modelRef = (name: ModelName) => ({ $ref: `#/components/schemas/${name}` });

export const pageOfModel = (name: ModelName) => ({
  type: "object",
  required: ["data", "count"],
  properties: { data: { type: "array", items: modelRef(name) }, count: { type: "integer" } },
});

export const windowOfModel = (name: ModelName) => ({
  type: "object",
  required: ["data", "next_cursor"],
  properties: { data: { type: "array", items: modelRef(name) }, next_cursor: { type: "string", nullable: true } },
});

function answerOf({ description, schema, contentType }: Answer) {
  if (schema === undefined) return { description };
  return { description, content: { [contentType ?? "application/json"]: { schema } } };
}

function problemsOf(codes: readonly ErrorCode[]) {
  const titles = new Map<number, string[]>();
  for (const code of new Set(codes)) {
    const { status, title } = STATUSES[code];
    titles.set(status, [...(titles.get(status) ?? []), title]);
  }
  const problem = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  return Object.fromEntries(
    [...titles].map(([status, names]) => [status, { description: names.join(", "), content: problem }]),
  );
}
