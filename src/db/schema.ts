// The tables as drizzle sees them. drizzle/ is the truth: partitions, functions and partial indexes live there, and
// test/db/schema.test.ts compares the two.

import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  integer,
  json,
  pgTable,
  smallint,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";
import type { AttemptId, DeliveryId, EventId, SubscriberId, UserId, WebhookId } from "../domain/ids.ts";
import type { DeliveryStatus } from "../domain/delivery.ts";
import type { Priority } from "../domain/priority.ts";

const bytea = customType<{ data: Buffer }>({ dataType: () => "bytea" });
const instant = (name: string) => timestamp(name, { withTimezone: true });
const createdAt = () => instant("created_at").notNull().defaultNow();
const updatedAt = () => instant("updated_at").notNull().defaultNow();

export const users = pgTable("users", {
  id: uuid("id").$type<UserId>().primaryKey(),
  email: text("email").notNull(),
  passwordHash: text("password_hash").notNull(),
  fullName: text("full_name"),
  isActive: boolean("is_active").notNull().default(true),
  isSuperuser: boolean("is_superuser").notNull().default(false),
  tokenVersion: integer("token_version").notNull().default(0),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
  deletedAt: instant("deleted_at"),
});

export const webhooks = pgTable("webhooks", {
  id: uuid("id").$type<WebhookId>().primaryKey(),
  userId: uuid("user_id").$type<UserId>().notNull(),
  url: text("url").notNull(),
  urlKey: text("url_key").notNull(),
  events: text("events").array().notNull(),
  description: text("description"),
  headers: json("headers").$type<Record<string, string>>().notNull().default({}),
  maxInFlight: integer("max_in_flight").notNull().default(1),
  isActive: boolean("is_active").notNull().default(true),
  disabledReason: text("disabled_reason"),
  partition: smallint("partition").notNull(),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
  deletedAt: instant("deleted_at"),
});

export const webhookSecrets = pgTable("webhook_secrets", {
  id: uuid("id").primaryKey(),
  webhookId: uuid("webhook_id").$type<WebhookId>().notNull(),
  ciphertext: bytea("ciphertext").notNull(),
  keyId: text("key_id").notNull(),
  createdAt: createdAt(),
  expiresAt: instant("expires_at"),
});

export const endpoints = pgTable("endpoints", {
  webhookId: uuid("webhook_id").$type<WebhookId>().primaryKey(),
  userId: uuid("user_id").$type<UserId>().notNull(),
  partition: smallint("partition").notNull(),
  circuit: text("circuit").$type<"closed" | "open">().notNull().default("closed"),
  failures: integer("failures").notNull().default(0),
  openings: integer("openings").notNull().default(0),
  openUntil: instant("open_until"),
  backlog: text("backlog")
    .array()
    .$type<Priority[]>()
    .notNull()
    .default(sql`'{}'`),
  cancelBefore: instant("cancel_before"),
  recoverSince: instant("recover_since"),
  recoverBefore: instant("recover_before"),
  failingSince: instant("failing_since"),
  lastSuccessAt: instant("last_success_at"),
});

export const subscribers = pgTable("subscribers", {
  id: uuid("id").$type<SubscriberId>().primaryKey(),
  userId: uuid("user_id").$type<UserId>().notNull(),
  email: text("email").notNull(),
  firstName: text("first_name"),
  lastName: text("last_name"),
  tags: text("tags")
    .array()
    .notNull()
    .default(sql`'{}'`),
  customFields: json("custom_fields").$type<Record<string, unknown>>().notNull().default({}),
  status: text("status").$type<"active" | "unsubscribed" | "bounced">().notNull().default("active"),
  createdAt: createdAt(),
  updatedAt: updatedAt(),
});

export const events = pgTable("events", {
  id: uuid("id").$type<EventId>().primaryKey(),
  userId: uuid("user_id").$type<UserId>().notNull(),
  type: text("type").notNull(),
  priority: text("priority").$type<Priority>().notNull(),
  payload: text("payload").notNull(),
  createdAt: createdAt(),
});

export const deliveries = pgTable("deliveries", {
  id: uuid("id").$type<DeliveryId>().primaryKey(),
  eventId: uuid("event_id").$type<EventId>().notNull(),
  webhookId: uuid("webhook_id").$type<WebhookId>().notNull(),
  userId: uuid("user_id").$type<UserId>().notNull(),
  dueAt: instant("due_at").notNull(),
  pendingSince: instant("pending_since").notNull().defaultNow(),
  createdAt: createdAt(),
  completedAt: instant("completed_at"),
  streamSeq: bigint("stream_seq", { mode: "number" }),
  streamEpoch: integer("stream_epoch"),
  generation: integer("generation").notNull().default(0),
  attemptCount: integer("attempt_count").notNull().default(0),
  scheduleBase: integer("schedule_base").notNull().default(0),
  partition: smallint("partition").notNull(),
  priority: text("priority").$type<Priority>().notNull(),
  status: text("status").$type<DeliveryStatus>().notNull().default("pending"),
  eventType: text("event_type").notNull(),
  lastError: text("last_error"),
  deliveringId: uuid("delivering_id").$type<AttemptId>(),
  deliveringAttempt: integer("delivering_attempt"),
  deliveringStatusCode: integer("delivering_status_code"),
  deliveringLatencyMs: integer("delivering_latency_ms"),
  deliveringResponseBody: text("delivering_response_body"),
});

export const attempts = pgTable("attempts", {
  id: uuid("id").$type<AttemptId>().primaryKey(),
  deliveryId: uuid("delivery_id").$type<DeliveryId>().notNull(),
  attempt: integer("attempt").notNull(),
  statusCode: integer("status_code"),
  latencyMs: integer("latency_ms").notNull(),
  error: text("error"),
  responseBody: text("response_body"),
  createdAt: createdAt(),
});

export const stream = pgTable("stream", {
  id: boolean("id").primaryKey().default(true),
  epoch: integer("epoch").notNull().default(0),
  streamCreatedAt: text("stream_created_at"),
  bucketCreatedAt: text("bucket_created_at"),
  bucketIsSuccessor: boolean("bucket_is_successor").notNull().default(false),
  updatedAt: updatedAt(),
});
