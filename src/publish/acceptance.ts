// What the API asks of the publishing side. A promise that resolves means: committed, and nothing will be lost;
// the publish to JetStream follows on its own.

import type { Event, NewEvent } from "../domain/event.ts";
import type { SubscriberId, UserId } from "../domain/ids.ts";
import type { NewSubscriber, Subscriber, SubscriberChange } from "../domain/subscriber.ts";

export type CreatedSubscriber =
  { kind: "created"; subscriber: Subscriber } | { kind: "email_taken" } | { kind: "user_unknown" };

export interface Acceptance {
  /** Publishes `subscriber.created`; one of an import in the lane `low`. */
  createSubscriber(input: NewSubscriber, options?: { isImport: boolean }): Promise<CreatedSubscriber>;
  /**
   * Publishes `subscriber.updated`, and `.unsubscribed`, `.tag_added`, `.tag_removed` where they happened; nothing when
   * nothing changed. Throws not_found for another user's subscriber, conflict for a taken e-mail.
   */
  changeSubscriber(userId: UserId, id: SubscriberId, change: SubscriberChange): Promise<Subscriber>;
  /** Publishes `subscriber.deleted`. Throws not_found. */
  deleteSubscriber(userId: UserId, id: SubscriberId): Promise<void>;
  publishEvent(event: NewEvent): Promise<Event>;
}
