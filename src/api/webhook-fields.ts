// What callers may say of a webhook, and how it is checked: its shape by schema, the rest here.

import { type Static, Type } from "@sinclair/typebox";
import type { WebhookFields } from "../db/webhooks.ts";
import { DomainError, invalid } from "../domain/error.ts";
import { EVENT_PATTERN_PATTERN, EVENT_TYPE_LENGTH_MAX } from "../domain/event-type.ts";
import type { UserId } from "../domain/ids.ts";
import { MAX_IN_FLIGHT_MAX, WEBHOOK_EVENTS_MAX } from "../domain/limits.ts";
import {
  checkWebhookHeaders,
  checkWebhookUrl,
  isWebhookSecret,
  newWebhookSecret,
  WEBHOOK_SECRET_RULE,
} from "../domain/webhook.ts";
import { fields, textOrNull } from "./fields.ts";
import type { ApiDeps } from "./ports.ts";

const pattern = Type.String({
  pattern: EVENT_PATTERN_PATTERN,
  maxLength: EVENT_TYPE_LENGTH_MAX,
  "x-message": "Not an event type, nor * or a prefix that ends in .*",
});

const members = {
  url: Type.String({ description: "http or https, without user name and password." }),
  events: Type.Array(pattern, {
    minItems: 1,
    maxItems: WEBHOOK_EVENTS_MAX,
    description: "Event types to receive: exact, `subscriber.*`, or `*`.",
  }),
  description: Type.Optional(textOrNull(1_000)),
  is_active: Type.Optional(Type.Boolean()),
  max_in_flight: Type.Optional(
    Type.Integer({ minimum: 1, maximum: MAX_IN_FLIGHT_MAX, description: "Requests at once. 1 keeps the order." }),
  ),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: "Sent with every request beside Fairpost's own." }),
  ),
};

export const NewWebhook = (exampleUrl: string) =>
  fields(
    {
      ...members,
      secret: Type.Optional(Type.String({ description: "`whsec_...`; generated when it is left out." })),
    },
    { example: { url: exampleUrl, events: ["subscriber.*"], description: "Tell the shop", max_in_flight: 1 } },
  );

export const WebhookChange = fields(Type.Partial(fields(members)).properties, {
  example: { events: ["*"], is_active: true },
});

type NewWebhookBody = Static<ReturnType<typeof NewWebhook>>;

export function secretOf({ secret }: NewWebhookBody): string {
  if (secret === undefined) return newWebhookSecret();
  if (!isWebhookSecret(secret)) throw invalid("body.secret", WEBHOOK_SECRET_RULE);
  return secret;
}

export async function newWebhookFields(deps: ApiDeps, userId: UserId, body: NewWebhookBody): Promise<WebhookFields> {
  refuseHeaders(body.headers);
  return {
    ...(await checkedUrl(deps, userId, body.url)),
    events: distinct(body.events),
    description: body.description ?? null,
    headers: body.headers ?? {},
    maxInFlight: body.max_in_flight ?? 1,
    isActive: body.is_active ?? true,
  };
}

export async function webhookChangeOf(
  deps: ApiDeps,
  userId: UserId,
  body: Static<typeof WebhookChange>,
): Promise<Partial<WebhookFields>> {
  refuseHeaders(body.headers);
  const change: Partial<WebhookFields> = {};
  if (body.url !== undefined) Object.assign(change, await checkedUrl(deps, userId, body.url));
  if (body.events !== undefined) change.events = distinct(body.events);
  if (body.description !== undefined) change.description = body.description;
  if (body.headers !== undefined) change.headers = body.headers;
  if (body.max_in_flight !== undefined) change.maxInFlight = body.max_in_flight;
  if (body.is_active !== undefined) change.isActive = body.is_active;
  return change;
}

async function checkedUrl(deps: ApiDeps, userId: UserId, url: string): Promise<{ url: string; urlKey: string }> {
  const checked = checkWebhookUrl(url);
  if (!checked.ok) throw invalid("body.url", checked.fault);
  const verdict = await deps.checkTarget(url, userId);
  if (!verdict.ok) throw invalid("body.url", verdict.why);
  return { url, urlKey: checked.value.key };
}

function refuseHeaders(headers: Readonly<Record<string, string>> | undefined): void {
  const errors = checkWebhookHeaders(headers ?? {}).map(({ name, fault }) => ({
    path: name === "" ? "body.headers" : `body.headers.${name}`,
    message: fault,
  }));
  if (errors.length === 0) return;
  const detail = errors.map(({ path, message }) => `${path} ${message}`).join("; ");
  throw new DomainError("invalid", detail, { errors });
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)];
