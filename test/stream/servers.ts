// Connections to a nats-server of the test's own, and messages to publish.

import type { NatsConnection } from "@nats-io/transport-node";
import type { Message } from "../../src/domain/delivery.ts";
import { type DeliveryId, type EventId, newId, type UserId, type WebhookId } from "../../src/domain/ids.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { NatsLink } from "../../src/stream/connection.ts";
import { eventually } from "../support/services.ts";

export async function connected(url: string): Promise<{ link: NatsLink; connection: NatsConnection }> {
  const link = new NatsLink({ url, name: "test", clock: systemClock });
  await link.start();
  const connection = await eventually(() => {
    if (link.connection === undefined) throw new Error("not connected");
    return link.connection;
  });
  return { link, connection };
}

export function messageOf(more: Partial<Message> = {}): Message {
  return {
    deliveryId: newId<DeliveryId>(),
    eventId: newId<EventId>(),
    eventType: "order.paid",
    userId: newId<UserId>(),
    webhookId: newId<WebhookId>(),
    partition: 3,
    priority: "high",
    generation: 0,
    attemptCount: 0,
    scheduleBase: 0,
    pendingSince: 1_700_000_000_123,
    origin: "accept",
    payload: `{"type":"order.paid","data":{"name":"Zoë 🎉"}}`,
    ...more,
  };
}
