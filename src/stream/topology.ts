// The stream, its consumers and the bucket of leases: created by whoever comes first, brought up to date where
// JetStream can, refused with a clear message where it cannot.

import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { ACK_WAIT_MS, DUPLICATE_WINDOW_MS, STREAM_MESSAGES_PER_SUBJECT_MAX } from "../domain/limits.ts";
import { ALL_PARTITIONS, type Partition, partitionName } from "../domain/partition.ts";
import { PRIORITIES, type Priority } from "../domain/priority.ts";
import { consumerFilter, consumerName, OWNERS_BUCKET, STREAM, STREAM_SUBJECTS } from "./subjects.ts";

/** When the stream and the bucket came to be, as the server says it: another time is another stream. */
export type Topology = {
  streamCreatedAt: string;
  bucketCreatedAt: string;
  /** How old the bucket was when it was looked at, by the server's own clock: ours may be another. */
  bucketAgeMs: number;
};

/** One per partition and priority. */
export const CONSUMERS = ALL_PARTITIONS.length * PRIORITIES.length;

/** Where the bucket's keys are. */
const OWNERS_STREAM = `KV_${OWNERS_BUCKET}`;

/** The stream exists with settings that cannot be changed; the message says which, and what to do. */
export class TopologyConflict extends Error {}

export async function ensureTopology(connection: NatsConnection, replicas: number): Promise<Topology> {
  const manager = await jetstreamManager(connection);
  const stream = await ensureStream(manager, replicas);
  await ensureConsumers(manager);
  const bucket = await ensureBucket(connection, manager, replicas);
  const bucketAgeMs = bucket.ts === undefined ? 0 : Math.max(0, Date.parse(bucket.ts) - Date.parse(bucket.created));
  return { streamCreatedAt: String(stream.created), bucketCreatedAt: String(bucket.created), bucketAgeMs };
}

/** Cheap: says whether the stream and the bucket are still those of `known`, and no consumer is missing. */
export async function isUnchanged(connection: NatsConnection, known: Topology): Promise<boolean> {
  try {
    const manager = await jetstreamManager(connection, { checkAPI: false });
    const [stream, bucket] = await Promise.all([manager.streams.info(STREAM), manager.streams.info(OWNERS_STREAM)]);
    return (
      String(stream.created) === known.streamCreatedAt &&
      String(bucket.created) === known.bucketCreatedAt &&
      stream.state.consumer_count >= CONSUMERS
    );
  } catch (error) {
    if (error instanceof JetStreamApiError) return false;
    throw error;
  }
}

function streamConfig(replicas: number): Partial<StreamConfig> & { name: string } {
  return {
    name: STREAM,
    description: "Fairpost: deliveries on their way. Rebuilt from Postgres when lost.",
    metadata: { service: "fairpost", subject: "webhooks.<priority>.<partition>.<user_id>.<webhook_id>" },
    subjects: [STREAM_SUBJECTS],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    discard_new_per_subject: true,
    max_msgs_per_subject: STREAM_MESSAGES_PER_SUBJECT_MAX,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    // `nats stream view` cannot page a work queue without it.
    allow_direct: true,
    num_replicas: replicas,
  };
}

async function ensureStream(manager: JetStreamManager, replicas: number): Promise<StreamInfo> {
  const wanted = streamConfig(replicas);
  const existing = await findStream(manager);
  if (existing === undefined) {
    try {
      return await manager.streams.add(wanted);
    } catch (error) {
      // Another process was faster, with other settings than ours (an older release, say): bring them up to date below.
      if (!(error instanceof JetStreamApiError) || (await findStream(manager)) === undefined) throw error;
    }
  }
  const present = existing ?? (await manager.streams.info(STREAM));
  if (isUpToDate(present.config, wanted)) return present;
  try {
    return await manager.streams.update(STREAM, { ...present.config, ...wanted });
  } catch (error) {
    if (!(error instanceof JetStreamApiError)) throw error;
    throw new TopologyConflict(
      `The stream ${STREAM} on this NATS server has settings that cannot be changed while it exists (${error.message}). ` +
        `If it is not Fairpost's, use another NATS account; if it is, delete it (nats stream rm ${STREAM}): ` +
        "every pending delivery is still in Postgres and returns by itself.",
      { cause: error },
    );
  }
}

async function findStream(manager: JetStreamManager): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(STREAM);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}

function isUpToDate(present: object, wanted: object): boolean {
  const has: Record<string, unknown> = { ...present };
  return Object.entries(wanted).every(([key, value]) =>
    // The server adds metadata of its own.
    key === "metadata" ? isUpToDate(Object(has[key]), Object(value)) : Bun.deepEquals(has[key], value),
  );
}

function consumerConfig(partition: Partition, priority: Priority): Partial<ConsumerConfig> {
  return {
    durable_name: consumerName(partition, priority),
    description: `Fairpost: ${priority} deliveries of partition ${partitionName(partition)}`,
    metadata: { service: "fairpost", partition: partitionName(partition), priority },
    filter_subject: consumerFilter(partition, priority),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
    max_ack_pending: -1,
    max_deliver: -1,
    // Their files would take a fifth of the server's CPU. What a restart forgets (delivery counts, delays) the rows know:
    // every message comes again, none of them is sent unchecked, and a retry that is not due yet waits for the rest.
    mem_storage: true,
  };
}

/** Consumers hold the retry state while the server runs: they are added and updated, and go only with their partition. */
async function ensureConsumers(manager: JetStreamManager): Promise<void> {
  const present = new Map<string, ConsumerConfig>();
  for await (const info of manager.consumers.list(STREAM)) present.set(info.name, info.config);
  for (const partition of ALL_PARTITIONS) {
    for (const priority of PRIORITIES) {
      const wanted = consumerConfig(partition, priority);
      const config = present.get(consumerName(partition, priority));
      if (config === undefined) await manager.consumers.add(STREAM, wanted);
      else if (!isUpToDate(config, wanted)) {
        await manager.consumers.update(STREAM, consumerName(partition, priority), wanted);
      }
      present.delete(consumerName(partition, priority));
    }
  }
  await removeFormerConsumers(manager, present.values());
}

/** Those of a release with more partitions, and their messages: the migration returned the rows of these to the table. */
async function removeFormerConsumers(manager: JetStreamManager, others: Iterable<ConsumerConfig>): Promise<void> {
  for (const { name, filter_subject, metadata } of others) {
    if (name === undefined || filter_subject === undefined || metadata?.["service"] !== "fairpost") continue;
    // Messages first: without the consumer nobody would look for them again.
    await manager.streams.purge(STREAM, { filter: filter_subject });
    await manager.consumers.delete(STREAM, name).catch(unlessMissing);
  }
}

/** Somebody else was faster. */
function unlessMissing(error: unknown): boolean {
  if (error instanceof JetStreamApiError && error.status === 404) return false;
  throw error;
}

async function ensureBucket(
  connection: NatsConnection,
  manager: JetStreamManager,
  replicas: number,
): Promise<StreamInfo> {
  const shared = {
    description: "Fairpost: which worker owns which partition, and which workers are there",
    metadata: { service: "fairpost" },
  };
  const bucket = await new Kvm(connection).create(OWNERS_BUCKET, {
    ...shared,
    history: 1,
    replicas,
    // Keys expire one by one, and their expiry leaves a marker, so that watchers hear of it.
    markerTTL: 60_000,
  });
  const present = (await bucket.status()).streamInfo;
  // One that exists already is taken as it is: the leases would be lost with one server although NATS_REPLICAS was raised.
  const wanted = { ...shared, num_replicas: replicas };
  if (isUpToDate(present.config, wanted)) return present;
  return manager.streams.update(OWNERS_STREAM, { ...present.config, ...wanted });
}
