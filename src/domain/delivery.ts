// A delivery is one event on its way to one webhook.
//
//   pending ──2xx──────────────────────────► delivered
//      │ ▲
//      │ └──────────── retry (replay) ◄──┐
//      ├──schedule used up, or 410 ────► failed     (the dead letter)
//      └──webhook or user gone ────────► cancelled
//
// While pending it is either in the stream (`stream_seq` set, of the present epoch) or waiting in the table until
// `due_at`. Every way back to the table raises `generation`, the fence against messages and results of its own past.

import type { DeliveryId, EventId, UserId, WebhookId } from "./ids.ts";
import type { Partition } from "./partition.ts";
import type { Priority } from "./priority.ts";

export const DELIVERY_STATUSES = ["pending", "delivered", "failed", "cancelled"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** Where a delivery is bound for: everything that its subject in the stream says. */
export type Route = { userId: UserId; webhookId: WebhookId; partition: Partition; priority: Priority };

/** A delivery as it travels in the stream: the row's identity, and the exact bytes to sign and send. */
export type Message = Route & {
  deliveryId: DeliveryId;
  eventId: EventId;
  eventType: string;
  generation: number;
  /** Attempts made before this message was published. */
  attemptCount: number;
  /** Attempts that belong to earlier schedules, before the last replay. */
  scheduleBase: number;
  /** When it was accepted, or last replayed: milliseconds since the epoch, by Postgres' clock. */
  pendingSince: number;
  /** `accept`: the API's own publish right after the commit. `refill`: from the table, by the partition's owner. */
  origin: "accept" | "refill";
  payload: string;
};
