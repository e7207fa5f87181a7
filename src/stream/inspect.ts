// Questions to the stream: how much of each lane is in it, where it ends, and whether a message is still there.

import { JetStreamApiError, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { DeliveryId, WebhookId } from "../domain/ids.ts";
import type { Partition } from "../domain/partition.ts";
import type { Priority } from "../domain/priority.ts";
import { deliveryOf } from "./message.ts";
import { parseSubject, partitionFilter, STREAM } from "./subjects.ts";

export type LaneCount = { webhookId: WebhookId; priority: Priority; messages: number };

/** Messages per lane of one partition; lanes without any are missing. */
export async function countLanes(connection: NatsConnection, partition: Partition): Promise<LaneCount[]> {
  const manager = await managerOf(connection);
  const info = await manager.streams.info(STREAM, { subjects_filter: partitionFilter(partition) });
  return Object.entries(info.state.subjects ?? {}).flatMap(([subject, messages]) => {
    const route = parseSubject(subject);
    return route === undefined ? [] : [{ webhookId: route.webhookId, priority: route.priority, messages }];
  });
}

export async function lastSequence(connection: NatsConnection): Promise<number> {
  return (await (await managerOf(connection)).streams.info(STREAM)).state.last_seq;
}

/** Which delivery the message at `seq` carries, by the stream's leader; undefined when there is no such message. */
export async function deliveryAt(connection: NatsConnection, seq: number): Promise<DeliveryId | undefined> {
  try {
    const message = await (await managerOf(connection)).streams.getMessage(STREAM, { seq });
    return deliveryOf(message?.header);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}

const managers = new WeakMap<NatsConnection, Promise<JetStreamManager>>();

function managerOf(connection: NatsConnection): Promise<JetStreamManager> {
  let manager = managers.get(connection);
  if (manager === undefined) {
    manager = jetstreamManager(connection, { checkAPI: false });
    managers.set(connection, manager);
  }
  return manager;
}
