// Names of what lives in JetStream. A subject says where a delivery is bound for:
// `webhooks.<high|normal|low>.<p00..p07>.<user_id>.<webhook_id>`.

import type { Route } from "../domain/delivery.ts";
import { isUuid, type UserId, type WebhookId } from "../domain/ids.ts";
import { PARTITIONS } from "../domain/limits.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import type { Priority } from "../domain/priority.ts";

export const STREAM = "WEBHOOKS";
export const STREAM_SUBJECTS = "webhooks.*.*.*.*";
export const OWNERS_BUCKET = "webhook-owners";

/** Core NATS, not stored: a webhook's settings have changed; the payload is its id. */
export const WEBHOOK_CHANGED = "fairpost.webhook.changed";
/** Core NATS, request and reply: every worker answers with its metrics. */
export const METRICS_REQUEST = "fairpost.metrics";

export function subjectOf(route: Route): string {
  return `webhooks.${route.priority}.${partitionName(route.partition)}.${route.userId}.${route.webhookId}`;
}

/** Subjects that were read lately, with what they say. */
const known = new Map<string, Route>();
const KNOWN_MAX = 50_000;

const subjectForm = /^webhooks\.(high|normal|low)\.p(\d\d)\.([0-9a-f-]{36})\.([0-9a-f-]{36})$/;

/**
 * The route that a subject names; undefined for one that is not of this form. An endpoint's messages share one route, and
 * so its ids: they are in memory once, and two that are the same string are compared without being read.
 */
export function parseSubject(subject: string): Readonly<Route> | undefined {
  let route = known.get(subject);
  if (route !== undefined) return route;
  route = readSubject(subject);
  if (route === undefined) return undefined;
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(subject, route);
  return route;
}

function readSubject(subject: string): Route | undefined {
  const [, priority, digits, userId, webhookId] = subjectForm.exec(subject) ?? [];
  const partition = Number(digits);
  if (priority === undefined || partition >= PARTITIONS || !isUuid(userId ?? "") || !isUuid(webhookId ?? "")) {
    return undefined;
  }
  return {
    priority: priority as Priority,
    partition,
    userId: userId as UserId,
    webhookId: webhookId as WebhookId,
  };
}

export function consumerName(partition: Partition, priority: Priority): string {
  return `${partitionName(partition)}-${priority}`;
}

export function consumerFilter(partition: Partition, priority: Priority): string {
  return `webhooks.${priority}.${partitionName(partition)}.*.*`;
}

/** Every subject of one partition, of any priority. */
export function partitionFilter(partition: Partition): string {
  return `webhooks.*.${partitionName(partition)}.*.*`;
}
