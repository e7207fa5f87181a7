// Something that happened to one user's list, or that the user published.

import type { EventId, UserId, WebhookId } from "./ids.ts";
import type { RawJson } from "../lib/json.ts";
import type { Priority } from "./priority.ts";

export type NewEvent = {
  userId: UserId;
  type: string;
  /** The caller's JSON text, sent on byte for byte. */
  data: RawJson;
  /** Lowers the account's lane; a higher one than the account's is ignored. */
  priority?: Priority | undefined;
  /** Goes to this webhook alone, whatever it subscribed to (`POST /webhooks/{id}/test`). */
  onlyTo?: WebhookId | undefined;
  /** Never goes to this webhook (an operational event about it). */
  notTo?: WebhookId | undefined;
};

export type Event = {
  id: EventId;
  userId: UserId;
  type: string;
  priority: Priority;
  createdAt: Date;
  /** The whole body as it is signed and sent: `{"type", "timestamp", "data"}`. */
  payload: string;
};
