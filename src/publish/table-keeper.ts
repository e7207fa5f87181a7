// Puts right what is wrong in the rows of the owned partitions: rows of a stream that is gone, rows whose message the
// stream has lost, rows of webhooks that were switched off or deleted, and failed ones that are to be tried again. Always in
// chunks, and each of the tasks on its own: a mass cancellation takes hours at worst, and neither a new epoch nor a lost
// message waits for it.

import type { Database } from "../db/database.ts";
import { type Cancellation, cancelPending, clearCancellation, listCancellations } from "../db/endpoints.ts";
import { clearRecovery, listRecoveries, type Recovery, recoverFailed } from "../db/recoveries.ts";
import { type InStreamRow, listOverdueInStream, returnMissing, returnOlderEpochs } from "../db/stream-state.ts";
import type { Bookmark } from "../db/waiting.ts";
import type { DeliveryId, WebhookId } from "../domain/ids.ts";
import { RECONCILE_INTERVAL_MS, RECONCILE_ROWS_MAX, SWEEP_INTERVAL_MS } from "../domain/limits.ts";
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

type Owned = {
  /** To which its rows have been brought. */
  epoch: number | undefined;
  reconcileAt: number;
  /** How far the last reconciliation has come; undefined: to the end. */
  reconciledTo: Bookmark | undefined;
  /** Deliveries that each mass change under way has come to, by its name and webhook. */
  changed: Map<string, number>;
};

type Marked = { webhookId: WebhookId; partition: Partition };

/** What is to become of many of a webhook's deliveries: the API has marked its endpoint. */
type MassChange<Mark extends Marked> = {
  name: string;
  event: "deliveries.cancelled" | "deliveries.recovered";
  list(partitions: readonly Partition[]): Promise<Mark[]>;
  /** Changes up to so many, and says how many. */
  chunk(mark: Mark): Promise<number>;
  /** All are changed, and the mark is about to go. */
  onDone?(mark: Mark): void;
  clear(mark: Mark): Promise<void>;
};

export class TableKeeper implements Service {
  readonly name = "table-keeper";
  readonly #options: TableKeeperOptions;
  readonly #owned = new Map<Partition, Owned>();
  readonly #cancellation: MassChange<Cancellation>;
  readonly #recovery: MassChange<Recovery>;
  #running: Promise<unknown> | undefined;
  #stopped = false;

  constructor(options: TableKeeperOptions) {
    this.#options = options;
    const { sql } = options.database;
    this.#cancellation = {
      name: "cancellation",
      event: "deliveries.cancelled",
      list: (partitions) => listCancellations(sql, partitions),
      chunk: (mark) => cancelPending(sql, mark),
      onDone: ({ webhookId, beforeMs }) => options.onCancelled(webhookId, beforeMs),
      clear: (mark) => clearCancellation(sql, mark),
    };
    this.#recovery = {
      name: "recovery",
      event: "deliveries.recovered",
      list: (partitions) => listRecoveries(sql, partitions),
      chunk: (mark) => recoverFailed(sql, mark),
      clear: (mark) => clearRecovery(sql, mark),
    };
  }

  start(): Promise<void> {
    this.#running = Promise.all([
      this.#forever(() => this.#keepEach("epoch", (partition) => this.#followEpoch(partition))),
      this.#forever(() => this.#try("cancellations", () => this.#change(this.#cancellation))),
      this.#forever(() => this.#try("recoveries", () => this.#change(this.#recovery))),
      this.#forever(() => this.#keepEach("reconciliation", (partition) => this.#reconcile(partition))),
    ]);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  own(partition: Partition): void {
    const reconcileAt = this.#options.clock.monotonic();
    this.#owned.set(partition, {
      epoch: undefined,
      reconcileAt,
      reconciledTo: undefined,
      changed: new Map(),
    });
  }

  disown(partition: Partition): void {
    this.#owned.delete(partition);
  }

  /** One round of a task after the other. A round may answer that there is more to do at once. */
  async #forever(round: () => Promise<boolean>): Promise<void> {
    while (!this.#stopped) {
      const hasMore = await round();
      if (!this.#stopped) await sleep(this.#options.clock, hasMore ? 0 : SWEEP_INTERVAL_MS / 2);
    }
  }

  /** Does a task for one owned partition after the other. */
  async #keepEach(task: string, keep: (partition: Partition) => Promise<void>): Promise<false> {
    for (const partition of this.#owned.keys()) {
      if (this.#stopped) break;
      await this.#try(`${task} of ${partitionName(partition)}`, () => keep(partition));
    }
    return false;
  }

  /** A failure is said, and the next round tries again. */
  async #try(task: string, run: () => Promise<boolean | void>): Promise<boolean> {
    try {
      return (await run()) === true;
    } catch (error) {
      this.#options.observe("housekeeping.failed", { task, error: describeError(error) });
      return false;
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

  /** One chunk for each marked webhook: they take turns, so that a small change does not wait for a large one. */
  async #change<Mark extends Marked>(change: MassChange<Mark>): Promise<boolean> {
    if (this.#owned.size === 0) return false;
    let hasMore = false;
    for (const mark of await this.#options.database.run(() => change.list([...this.#owned.keys()]))) {
      if (await this.#try(`${change.name} for ${mark.webhookId}`, () => this.#changeChunk(mark, change)))
        hasMore = true;
    }
    return hasMore;
  }

  async #changeChunk<Mark extends Marked>(mark: Mark, change: MassChange<Mark>): Promise<boolean> {
    const { database, observe } = this.#options;
    const { webhookId, partition } = mark;
    const key = `${change.name} ${webhookId}`;
    const changed = this.#owned.get(partition)?.changed;
    if (changed === undefined || !this.#isOwned(partition)) return false;
    const chunk = await database.run(() => change.chunk(mark));
    const deliveries = (changed.get(key) ?? 0) + chunk;
    if (deliveries > 0) changed.set(key, deliveries);
    if (chunk > 0 || !this.#isOwned(partition)) return chunk > 0;
    change.onDone?.(mark);
    await database.run(() => change.clear(mark));
    changed.delete(key);
    if (deliveries > 0) observe(change.event, { webhook_id: webhookId, deliveries });
    return false;
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
    const { suspects, readTo } = await this.#listSuspects(partition, ensured.epoch, state.reconciledTo);
    const missing: InStreamRow[] = [];
    for (let at = 0; at < suspects.length; at += LOOK_UPS_AT_ONCE) {
      const asked = suspects.slice(at, at + LOOK_UPS_AT_ONCE);
      const found = await Promise.all(
        asked.map(async ({ seq, isOfEpoch }) => (isOfEpoch ? deliveryAt(connection, seq) : undefined)),
      );
      missing.push(...asked.filter(({ id }, index) => found[index] !== id && !isHeld(id)));
    }
    if (!this.#isOwned(partition)) return;
    if (missing.length > 0) {
      const deliveries = await database.run(() => returnMissing(database.sql, missing));
      observe("reconcile.found_missing", { partition: partitionName(partition), deliveries });
    }
    state.reconciledTo = readTo;
  }

  /**
   * Overdue rows that are not in this worker's hands, from behind `after` on. A slow account can have thousands in hand:
   * they are read over until there are enough others to look up, and a later round goes on from there.
   */
  async #listSuspects(
    partition: Partition,
    epoch: number,
    after: Bookmark | undefined,
  ): Promise<{ suspects: InStreamRow[]; readTo: Bookmark | undefined }> {
    const { database, isHeld } = this.#options;
    const suspects: InStreamRow[] = [];
    let readTo = after;
    do {
      const page = await database.run(() => listOverdueInStream(database.sql, partition, epoch, readTo));
      for (const row of page) {
        if (isHeld(row.id)) continue;
        suspects.push(row);
        if (suspects.length === RECONCILE_ROWS_MAX) return { suspects, readTo: row.bookmark };
      }
      readTo = page.length < RECONCILE_ROWS_MAX ? undefined : page.at(-1)?.bookmark;
    } while (readTo !== undefined && this.#isOwned(partition));
    return { suspects, readTo };
  }

  #isOwned(partition: Partition): boolean {
    return !this.#stopped && this.#owned.has(partition);
  }
}
