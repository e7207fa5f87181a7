// Which events a change of a subscriber makes, and what they say.

import type { SubscriberId } from "../domain/ids.ts";
import type { NewSubscriber, Subscriber } from "../domain/subscriber.ts";
import type { Json } from "../lib/json.ts";

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
