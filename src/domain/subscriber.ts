// A contact on a user's mailing list.

import type { SubscriberId, UserId } from "./ids.ts";
import type { RawJson } from "../lib/json.ts";

export const SUBSCRIBER_STATUSES = ["active", "unsubscribed", "bounced"] as const;
export type SubscriberStatus = (typeof SUBSCRIBER_STATUSES)[number];

/** What a caller may say of a subscriber. `customFields` keeps the caller's JSON text: key order and numbers. */
export type SubscriberFields = {
  email: string;
  firstName: string | null;
  lastName: string | null;
  tags: readonly string[];
  customFields: RawJson;
  status: SubscriberStatus;
};

export type NewSubscriber = SubscriberFields & { userId: UserId };

export type Subscriber = NewSubscriber & { id: SubscriberId; createdAt: Date; updatedAt: Date };

/** The fields that a change names; the others stay as they are. */
export type SubscriberChange = Partial<SubscriberFields>;
