// How rows look from outside: snake_case, and nothing secret.

import type { Attempt } from "../db/attempts.ts";
import type { Delivery } from "../db/deliveries.ts";
import type { User } from "../db/users.ts";
import type { Webhook } from "../db/webhooks.ts";
import type { Event } from "../domain/event.ts";
import type { Subscriber } from "../domain/subscriber.ts";
import { type Json, rawJsonMember } from "../lib/json.ts";

export function userView(user: User) {
  return {
    id: user.id,
    email: user.email,
    full_name: user.fullName,
    is_active: user.isActive,
    is_superuser: user.isSuperuser,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  } satisfies Json;
}

export function webhookView(webhook: Webhook) {
  return {
    id: webhook.id,
    user_id: webhook.userId,
    url: webhook.url,
    events: webhook.events,
    description: webhook.description,
    is_active: webhook.isActive,
    disabled_reason: webhook.disabledReason,
    max_in_flight: webhook.maxInFlight,
    headers: webhook.headers,
    circuit: webhook.circuit,
    last_success_at: webhook.lastSuccessAt,
    created_at: webhook.createdAt,
    updated_at: webhook.updatedAt,
  } satisfies Json;
}

export function subscriberView(subscriber: Subscriber) {
  return {
    id: subscriber.id,
    email: subscriber.email,
    first_name: subscriber.firstName,
    last_name: subscriber.lastName,
    tags: subscriber.tags,
    custom_fields: subscriber.customFields,
    status: subscriber.status,
    user_id: subscriber.userId,
    created_at: subscriber.createdAt,
    updated_at: subscriber.updatedAt,
  } satisfies Json;
}

export function eventView(event: Event) {
  return {
    id: event.id,
    type: event.type,
    data: rawJsonMember(event.payload, "data") ?? null,
    priority: event.priority,
    user_id: event.userId,
    created_at: event.createdAt,
  } satisfies Json;
}

export function deliveryView(delivery: Delivery) {
  return {
    id: delivery.id,
    event_id: delivery.eventId,
    event_type: delivery.eventType,
    webhook_id: delivery.webhookId,
    user_id: delivery.userId,
    status: delivery.status,
    priority: delivery.priority,
    attempt_count: delivery.attemptCount,
    next_attempt_at: nextAttemptAt(delivery),
    last_error: delivery.lastError,
    created_at: delivery.createdAt,
    completed_at: delivery.completedAt,
  } satisfies Json;
}

/**
 * Not before its endpoint's gate opens. A first delivery that is in the stream is due at once: its `dueAt` is only
 * refill's grace.
 */
function nextAttemptAt({ status, attemptCount, streamSeq, dueAt, createdAt, gateOpensAt }: Delivery): Date | null {
  if (status !== "pending") return null;
  const ofItself = attemptCount > 0 || streamSeq === null ? dueAt : createdAt;
  return gateOpensAt !== null && gateOpensAt > ofItself ? gateOpensAt : ofItself;
}

export function attemptView(attempt: Attempt) {
  return {
    attempt: attempt.attempt,
    status_code: attempt.statusCode,
    error: attempt.error,
    latency_ms: attempt.latencyMs,
    response_body: attempt.responseBody,
    created_at: attempt.createdAt,
  } satisfies Json;
}
