// Puts right what is wrong in the rows of the owned partitions: rows of a stream that is gone, rows whose message the
// stream has lost, and rows of webhooks that were switched off or deleted. Always in chunks.

import type { Database } from "../db/database.ts";
import { cancelPending, clearCancellation, listCancellations } from "../db/endpoints.ts";
import { type InStreamRow, listOverdueInStream, returnMissing, returnOlderEpochs } from "../db/stream-state.ts";
import type { DeliveryId, WebhookId } from "../domain/ids.ts";
import { RECONCILE_INTERVAL_MS, SWEEP_INTERVAL_MS } from "../domain/limits.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { NatsLink } from "../stream/connection.ts";
import { deliveryAt } from "../stream/inspect.ts";
import type { StreamKeeper } from "./stream-keeper.ts";

/** Questions to the stream at once. */
const LOOK_UPS_AT_ONCE = 20;

export type TableKeeperOptions = {
  database: Database;
  link: NatsLink;
  keeper: StreamKeeper;
  clock: Clock;
  observe: Observe;
  isHeld: (deliveryId: DeliveryId) => boolean;
  heldIn: (partition: Partition) => DeliveryId[];
  /** A webhook's rows are cancelled, and the mark for it is about to go: what is in hand must not need it any more. */
  onCancelled: (webhookId: WebhookId, beforeMs: number) => void;
};

export class TableKeeper implements Service {
  readonly name = "table-keeper";
  readonly #options: TableKeeperOptions;
  /** Owned partitions, each with the epoch to which its rows have been brought and the time of its next reconciliation. */
  readonly #owned = new Map<Partition, { epoch: number | undefined; reconcileAt: number }>();
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: TableKeeperOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#running = this.#keepForever();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  own(partition: Partition): void {
    this.#owned.set(partition, { epoch: undefined, reconcileAt: this.#options.clock.monotonic() });
  }

  disown(partition: Partition): void {
    this.#owned.delete(partition);
  }

  async #keepForever(): Promise<void> {
    const { clock, observe } = this.#options;
    while (!this.#stopped) {
      for (const partition of this.#owned.keys()) {
        try {
          await this.#followEpoch(partition);
          await this.#cancel(partition);
          await this.#reconcile(partition);
        } catch (error) {
          observe("housekeeping.failed", {
            task: `table of ${partitionName(partition)}`,
            error: describeError(error),
          });
        }
        if (this.#stopped) return;
      }
      await sleep(clock, SWEEP_INTERVAL_MS / 2);
    }
  }

  /**
   * A new epoch: the old stream is gone, and everything that was in it waits in the table again. What is held is still
   * in flight, and its result is to count; if it comes to nothing, the reconciler returns it.
   */
  async #followEpoch(partition: Partition): Promise<void> {
    const { database, keeper, observe, heldIn } = this.#options;
    const state = this.#owned.get(partition);
    const epoch = keeper.ensured?.epoch;
    if (state === undefined || epoch === undefined || state.epoch === epoch) return;
    let deliveries = 0;
    for (let chunk = -1; chunk !== 0 && this.#isOwned(partition); deliveries += Math.max(0, chunk)) {
      chunk = await database.run(() => returnOlderEpochs(database.sql, partition, epoch, heldIn(partition)));
    }
    if (deliveries > 0) observe("epoch.returned_to_table", { partition: partitionName(partition), deliveries });
    state.epoch = epoch;
  }

  async #cancel(partition: Partition): Promise<void> {
    const { database, observe, onCancelled } = this.#options;
    for (const cancellation of await database.run(() => listCancellations(database.sql, partition))) {
      let deliveries = 0;
      for (let chunk = -1; chunk !== 0 && this.#isOwned(partition); deliveries += Math.max(0, chunk)) {
        chunk = await database.run(() => cancelPending(database.sql, cancellation));
      }
      if (!this.#isOwned(partition)) return;
      onCancelled(cancellation.webhookId, cancellation.beforeMs);
      await database.run(() => clearCancellation(database.sql, cancellation));
      if (deliveries > 0) observe("deliveries.cancelled", { webhook_id: cancellation.webhookId, deliveries });
    }
  }

  /** The reconciler: what should be in the stream and is overdue by far is looked up there. */
  async #reconcile(partition: Partition): Promise<void> {
    const { database, link, keeper, clock, observe, isHeld } = this.#options;
    const state = this.#owned.get(partition);
    const ensured = keeper.ensured;
    const connection = link.connection;
    if (state === undefined || ensured === undefined || connection === undefined) return;
    if (clock.monotonic() < state.reconcileAt) return;
    state.reconcileAt = clock.monotonic() + RECONCILE_INTERVAL_MS;
    const overdue = await database.run(() => listOverdueInStream(database.sql, partition, ensured.epoch));
    const suspects = overdue.filter(({ id }) => !isHeld(id));
    const missing: InStreamRow[] = [];
    for (let at = 0; at < suspects.length; at += LOOK_UPS_AT_ONCE) {
      const asked = suspects.slice(at, at + LOOK_UPS_AT_ONCE);
      const found = await Promise.all(
        asked.map(async ({ seq, isOfEpoch }) => (isOfEpoch ? deliveryAt(connection, seq) : undefined)),
      );
      missing.push(...asked.filter(({ id }, index) => found[index] !== id && !isHeld(id)));
    }
    if (missing.length === 0 || !this.#isOwned(partition)) return;
    const deliveries = await database.run(() => returnMissing(database.sql, missing));
    observe("reconcile.found_missing", { partition: partitionName(partition), deliveries });
  }

  #isOwned(partition: Partition): boolean {
    return !this.#stopped && this.#owned.has(partition);
  }
}
