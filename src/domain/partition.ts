// Which slice of the endpoints a webhook belongs to: stored with it once, and the unit of ownership between workers.

import type { WebhookId } from "./ids.ts";
import { PARTITIONS } from "./limits.ts";

export type Partition = number;

/** FNV-1a, 32 bit, over the id's characters (all of them ASCII), modulo the number of partitions. */
export function partitionOf(webhookId: WebhookId): Partition {
  let hash = 0x811c9dc5;
  for (let index = 0; index < webhookId.length; index += 1) {
    hash = Math.imul(hash ^ webhookId.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % PARTITIONS;
}

export const ALL_PARTITIONS: readonly Partition[] = Array.from({ length: PARTITIONS }, (_, index) => index);

const NAMES = ALL_PARTITIONS.map((partition) => `p${String(partition).padStart(2, "0")}`);

/** `p00` .. `p07`. */
export function partitionName(partition: Partition): string {
  return NAMES[partition] ?? `p${partition}`;
}
