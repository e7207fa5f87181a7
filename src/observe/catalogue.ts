// The catalogue of what Fairpost says of itself: every log line has a name from here, and the fields listed with it.
// Names are dotted, and in the past tense or a state; a reader greps for them.

import type { DeliveryStatus } from "../domain/delivery.ts";
import type { Priority } from "../domain/priority.ts";

export type Catalogue = {
  "service.started": { url?: string };
  "service.stopped": Record<string, never>;
  "stop.failed": { service: string; error: string };

  "request.answered": { request_id: string; method: string; path: string; status: number; latency_ms: number };
  "request.failed": { request_id: string; method: string; path: string; status: number; error: string };
  "user.signed_in": { user_id: string };
  "sign_in.throttled": { address: string };
  "superuser.created": { email: string };
  /** It is tried again until it succeeds, and the same failure is said once. */
  "superuser.failed": { email: string; error: string };

  "event.accepted": {
    event_id: string;
    event_type: string;
    user_id: string;
    priority: Priority;
    deliveries: number;
  };
  /** Of the last few seconds. */
  "publish.failed": { reason: string; deliveries: number; outlook: string };
  "backlog.started": { webhook_id: string; priority: Priority };
  "backlog.cleared": { webhook_id: string; priority: Priority };
  "refill.failed": { partition: string; error: string };
  "reconcile.found_missing": { partition: string; deliveries: number };

  "nats.connected": { server: string };
  "nats.disconnected": { server: string };
  /** `setting` is the one to look at. */
  "nats.unreachable": { servers: string; error: string; setting: "NATS_URL" };
  /** It is there, and no write to this stream is answered; said once a minute. */
  "nats.unwritable": { stream: string; for_s: number; remedy: string };
  "stream.ensured": { epoch: number; stream_created_at: string };
  "stream.epoch_began": { epoch: number; stream_created_at: string };
  "stream.unavailable": { error: string; setting: "NATS_URL" };
  "postgres.unavailable": { error: string; setting: "DATABASE_URL" };
  "epoch.returned_to_table": { partition: string; deliveries: number };

  /** The canonical line of an attempt. */
  "delivery.attempted": {
    delivery_id: string;
    event_id: string;
    event_type: string;
    webhook_id: string;
    user_id: string;
    priority: Priority;
    partition: string;
    attempt: number;
    status: DeliveryStatus;
    status_code: number | null;
    error: string | null;
    latency_ms: number;
    /** Milliseconds until the next attempt; null when there is none. */
    next_in_ms: number | null;
  };
  "delivery.cancelled": { delivery_id: string; webhook_id: string; reason: string };
  "delivery.dropped": { delivery_id: string; reason: string };
  "delivery.expired": { delivery_id: string; webhook_id: string };
  "deliveries.cancelled": { webhook_id: string; deliveries: number };
  "deliveries.recovered": { webhook_id: string; deliveries: number };
  "deliveries.handed_back": { deliveries: number; reason: string };
  "message.unreadable": { seq: number; subject: string; error: string };
  "webhook.disabled": { webhook_id: string; reason: string };
  /** Nothing can be sent to it just now; said once a minute. */
  "endpoint.unreadable": { webhook_id: string; error: string };
  "circuit.opened": { webhook_id: string; for_ms: number; failures: number };
  "circuit.closed": { webhook_id: string };
  "endpoint.held_back": { webhook_id: string; for_ms: number };
  /** Requests wait for a descriptor; said every ten seconds for as long as it lasts. */
  "descriptors.exhausted": { remedy: string };
  "actor.crashed": { webhook_id: string; error: string };
  "record.failed": { results: number; error: string };
  "lease.failed": { task: string; error: string };
  "partition.gained": { partition: string; reason: string };
  "partition.released": { partition: string; reason: string };
  "partition.lost": { partition: string; reason: string };

  "retention.dropped": { partitions: number };
  "housekeeping.failed": { task: string; error: string };
};

export type EventName = keyof Catalogue;
export type Level = "debug" | "info" | "warn" | "error";

/** Everything is `info` but these. */
export const LEVELS: Partial<Record<EventName, Level>> = {
  "request.answered": "debug",
  "delivery.dropped": "debug",
  "stream.ensured": "debug",
  "request.failed": "error",
  "stop.failed": "error",
  "sign_in.throttled": "warn",
  "superuser.failed": "error",
  "publish.failed": "warn",
  "refill.failed": "warn",
  "reconcile.found_missing": "warn",
  "nats.disconnected": "warn",
  "nats.unreachable": "warn",
  "nats.unwritable": "error",
  "descriptors.exhausted": "error",
  "stream.epoch_began": "warn",
  "stream.unavailable": "warn",
  "postgres.unavailable": "warn",
  "message.unreadable": "error",
  "endpoint.unreadable": "error",
  "actor.crashed": "error",
  "record.failed": "warn",
  "housekeeping.failed": "warn",
  "partition.lost": "warn",
  "lease.failed": "warn",
};

export type Observe = <Name extends EventName>(name: Name, fields: Catalogue[Name]) => void;
