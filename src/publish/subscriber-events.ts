// Which events a change of a subscriber makes, what they say, and how many they may be.

import type { EventRow } from "../db/accept.ts";
import { invalid } from "../domain/error.ts";
import type { SubscriberId } from "../domain/ids.ts";
import { WEBHOOKS_PER_USER_MAX } from "../domain/limits.ts";
import type { NewSubscriber, Subscriber } from "../domain/subscriber.ts";
import type { Json } from "../lib/json.ts";

/** A change and its events are one transaction, which must be over within a statement's deadline: in half a second or so. */
const CHANGE_DELIVERIES_MAX = 10_000;
const CHANGE_BYTES_MAX = 8 * 1024 * 1024;
/** So few events are within both bounds, whatever they say and however many webhooks want them. */
export const CHANGE_EVENTS_UNCOUNTED = CHANGE_DELIVERIES_MAX / WEBHOOKS_PER_USER_MAX;

/** `subscriber.updated` and `subscriber.unsubscribed`. */
const EVENTS_BESIDE_TAGS = 2;

/** The subscriber as it stands in payloads. */
export function subscriberData(subscriber: NewSubscriber & { id: SubscriberId }, createdAt: Json): Json {
  return {
    id: subscriber.id,
    email: subscriber.email,
    first_name: subscriber.firstName,
    last_name: subscriber.lastName,
    tags: subscriber.tags,
    custom_fields: subscriber.customFields,
    status: subscriber.status,
    user_id: subscriber.userId,
    created_at: createdAt,
  };
}

/** Nothing when nothing changed; else `subscriber.updated`, then one for each thing that has an event of its own. */
export function changesOf(before: Subscriber, after: Subscriber): { type: string; data: Json }[] {
  const subscriber = subscriberData(after, after.createdAt);
  if (Bun.deepEquals(subscriber, subscriberData(before, before.createdAt))) return [];
  const events: { type: string; data: Json }[] = [{ type: "subscriber.updated", data: { subscriber } }];
  if (after.status === "unsubscribed" && before.status !== "unsubscribed") {
    events.push({ type: "subscriber.unsubscribed", data: { subscriber } });
  }
  for (const tag of after.tags) {
    if (!before.tags.includes(tag)) events.push({ type: "subscriber.tag_added", data: { subscriber, tag } });
  }
  for (const tag of before.tags) {
    if (!after.tags.includes(tag)) events.push({ type: "subscriber.tag_removed", data: { subscriber, tag } });
  }
  return events;
}

/** Each tag is an event of its own. `webhooks`: that want one of them or more. Throws invalid where that would be too much. */
export function refuseTooManyTags(events: readonly EventRow[], webhooks: number): void {
  // They differ by a tag.
  const bytes = Buffer.byteLength(events.at(-1)?.pieces.join("") ?? "");
  const most = Math.floor(Math.min(CHANGE_DELIVERIES_MAX / webhooks, CHANGE_BYTES_MAX / bytes));
  if (events.length <= most) return;
  const what = `Each tag that is added or removed is an event of ${bytes} bytes for ${webhooks} webhooks`;
  throw invalid("body.tags", `${what}: change up to ${most - EVENTS_BESIDE_TAGS} tags at a time`);
}
