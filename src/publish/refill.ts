// Moves what is due and waits in the table into the stream, lane by lane, as room appears. Every owned partition is
// swept about once a second; a lane with a known backlog is filled again as soon as half of its room is free.

import type { Database } from "../db/database.ts";
import {
  type Bookmark,
  type DueRow,
  type Lane,
  type LaneRoom,
  listBacklogs,
  listDue,
  listWaitingLanes,
  setBacklog,
} from "../db/waiting.ts";
import type { DeliveryId } from "../domain/ids.ts";
import { STREAM_MESSAGES_PER_SUBJECT_MAX, SWEEP_INTERVAL_MS } from "../domain/limits.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { NatsLink } from "../stream/connection.ts";
import { countLanes } from "../stream/inspect.ts";
import type { Outgoing } from "./outgoing.ts";

/** Lanes walked over in one sweep of one partition; the next sweep goes on behind them. */
const SWEEP_LANES_MAX = 1_000;
/** Lanes read in one statement: bounds what one answer holds in memory. */
const FILL_LANES_MAX = 20;
const LOW_WATER = STREAM_MESSAGES_PER_SUBJECT_MAX / 2;
/** Bookmarks skip what was handed back meanwhile: after this a lane is read from its beginning again. */
const BOOKMARK_MS = 30_000;

export type RefillOptions = {
  database: Database;
  link: NatsLink;
  outgoing: Outgoing;
  clock: Clock;
  observe: Observe;
  /** In this worker's hands: its row may still look as if it waited. */
  isHeld: (deliveryId: DeliveryId) => boolean;
  /** False while this worker holds so much that nothing more should come in. */
  hasAppetite: () => boolean;
};

/** A lane that has more due than the stream takes. */
type Backlog = Lane & {
  partition: Partition;
  /** Messages of it in the stream, as far as we know. */
  inStream: number;
  bookmark: Bookmark | undefined;
  bookmarkSince: number;
};

export class Refill implements Service {
  readonly name = "refill";
  readonly #options: RefillOptions;
  /** Owned partitions, each with the lane behind which its next sweep starts. */
  readonly #owned = new Map<Partition, Lane | undefined>();
  readonly #backlogs = new Map<string, Backlog>();
  readonly #low = new Set<Backlog>();
  readonly #running: Promise<void>[] = [];
  #wakeLow: (() => void) | undefined;
  #stopped = false;

  constructor(options: RefillOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#running.push(this.#sweepForever(), this.#fillLowForever());
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wakeLow?.();
    await Promise.all(this.#running);
  }

  own(partition: Partition): void {
    this.#owned.set(partition, undefined);
  }

  disown(partition: Partition): void {
    this.#owned.delete(partition);
    for (const [key, backlog] of this.#backlogs) if (backlog.partition === partition) this.#backlogs.delete(key);
  }

  /** A message of this lane has left the stream. */
  messageLeft(lane: Lane): void {
    const backlog = this.#backlogs.size === 0 ? undefined : this.#backlogs.get(keyOf(lane));
    if (backlog === undefined) return;
    backlog.inStream -= 1;
    if (backlog.inStream > LOW_WATER) return;
    this.#low.add(backlog);
    this.#wakeLow?.();
  }

  async #sweepForever(): Promise<void> {
    const { clock, observe, hasAppetite } = this.#options;
    while (!this.#stopped) {
      const startedAt = clock.monotonic();
      for (const partition of this.#owned.keys()) {
        if (this.#stopped || !hasAppetite()) break;
        try {
          await this.#sweep(partition);
        } catch (error) {
          observe("refill.failed", { partition: partitionName(partition), error: describeError(error) });
        }
      }
      await sleep(clock, Math.max(50, SWEEP_INTERVAL_MS - (clock.monotonic() - startedAt)));
    }
  }

  async #sweep(partition: Partition): Promise<void> {
    const { database, link } = this.#options;
    const connection = link.connection;
    if (connection === undefined) return;
    for (const lane of await database.run(() => listBacklogs(database.sql, partition))) {
      if (!this.#backlogs.has(keyOf(lane))) this.#noteBacklog(partition, lane, STREAM_MESSAGES_PER_SUBJECT_MAX);
    }
    const after = this.#owned.get(partition);
    const lanes = await database.run(() => listWaitingLanes(database.sql, partition, after, SWEEP_LANES_MAX));
    if (!this.#owned.has(partition)) return;
    this.#owned.set(partition, lanes.length < SWEEP_LANES_MAX ? undefined : lanes.at(-1));
    const present = new Set(lanes.map(keyOf));
    // A marked lane without anything waiting needs the mark no longer.
    if (after === undefined && lanes.length < SWEEP_LANES_MAX) await this.#clearBacklogsBut(partition, present);
    if (lanes.length === 0) return;
    const counts = new Map((await countLanes(connection, partition)).map((lane) => [keyOf(lane), lane.messages]));
    const withRoom = lanes
      .map((lane) => ({ ...lane, room: STREAM_MESSAGES_PER_SUBJECT_MAX - (counts.get(keyOf(lane)) ?? 0) }))
      .filter((lane) => lane.room > 0);
    for (let at = 0; at < withRoom.length; at += FILL_LANES_MAX) {
      if (this.#stopped || !this.#owned.has(partition)) return;
      await this.#fill(partition, withRoom.slice(at, at + FILL_LANES_MAX));
    }
  }

  async #fillLowForever(): Promise<void> {
    const { observe, hasAppetite } = this.#options;
    while (!this.#stopped) {
      if (this.#low.size === 0 || !hasAppetite()) {
        await new Promise<void>((resolve) => {
          this.#wakeLow = resolve;
          this.#options.clock.after(SWEEP_INTERVAL_MS, resolve);
        });
        continue;
      }
      const [first] = this.#low;
      const chosen = [...this.#low].filter(({ partition }) => partition === first?.partition).slice(0, FILL_LANES_MAX);
      for (const backlog of chosen) this.#low.delete(backlog);
      if (first === undefined || !this.#owned.has(first.partition)) continue;
      try {
        const rooms = chosen.map((lane) => ({ ...lane, room: STREAM_MESSAGES_PER_SUBJECT_MAX - lane.inStream }));
        await this.#fill(
          first.partition,
          rooms.filter(({ room }) => room > 0),
        );
      } catch (error) {
        observe("refill.failed", { partition: partitionName(first.partition), error: describeError(error) });
      }
    }
  }

  /** Reads the oldest due rows of each lane, at most its room, and publishes them in that order. */
  async #fill(partition: Partition, lanes: readonly LaneRoom[]): Promise<void> {
    const { database } = this.#options;
    const asked = lanes.map((lane) => ({ ...lane, after: this.#bookmarkOf(lane) }));
    const rows = await database.run(() => listDue(database.sql, partition, asked));
    const byLane = Map.groupBy(rows, keyOf);
    await Promise.all(
      asked.map(async (lane) => {
        const due = byLane.get(keyOf(lane)) ?? [];
        const stored = await this.#publishAll(partition, due);
        await this.#after(partition, lane, due, stored);
      }),
    );
  }

  /** Publishes what is not in our hands already. Says which rows are in the stream now, in order, up to the first failure. */
  async #publishAll(partition: Partition, due: readonly DueRow[]): Promise<DueRow[]> {
    const { outgoing, isHeld } = this.#options;
    if (!this.#owned.has(partition)) return [];
    const published = await Promise.all(
      due.map(async (row) =>
        isHeld(row.id)
          ? ({ kind: "held" } as const)
          : outgoing.publish({ ...row, deliveryId: row.id, origin: "refill" }),
      ),
    );
    const firstFailure = published.findIndex(({ kind }) => kind === "subject_full" || kind === "failed");
    return firstFailure === -1 ? [...due] : due.slice(0, firstFailure);
  }

  async #after(
    partition: Partition,
    lane: LaneRoom & { after: Bookmark | undefined },
    due: readonly DueRow[],
    stored: readonly DueRow[],
  ): Promise<void> {
    const inStream = STREAM_MESSAGES_PER_SUBJECT_MAX - lane.room + stored.length;
    if (due.length >= lane.room) {
      const isNew = !this.#backlogs.has(keyOf(lane));
      const backlog = this.#noteBacklog(partition, lane, inStream);
      const last = stored.at(-1)?.bookmark;
      if (last !== undefined) backlog.bookmark = last;
      if (stored.length < due.length) backlog.inStream = STREAM_MESSAGES_PER_SUBJECT_MAX;
      if (isNew) await this.#markBacklog(lane, true);
      return;
    }
    const backlog = this.#backlogs.get(keyOf(lane));
    if (backlog === undefined) return;
    backlog.inStream = inStream;
    // Nothing more behind the bookmark; what was handed back before it is read next time.
    if (lane.after !== undefined) backlog.bookmark = undefined;
    else if (stored.length === due.length) await this.#clearBacklog(backlog);
  }

  #bookmarkOf(lane: Lane): Bookmark | undefined {
    const backlog = this.#backlogs.get(keyOf(lane));
    if (backlog === undefined) return undefined;
    const now = this.#options.clock.monotonic();
    if (now - backlog.bookmarkSince > BOOKMARK_MS) {
      backlog.bookmark = undefined;
      backlog.bookmarkSince = now;
    }
    return backlog.bookmark;
  }

  #noteBacklog(partition: Partition, { webhookId, priority }: Lane, inStream: number): Backlog {
    const key = keyOf({ webhookId, priority });
    let backlog = this.#backlogs.get(key);
    if (backlog === undefined) {
      const bookmarkSince = this.#options.clock.monotonic();
      backlog = { partition, webhookId, priority, inStream, bookmark: undefined, bookmarkSince };
      this.#backlogs.set(key, backlog);
    }
    backlog.inStream = inStream;
    return backlog;
  }

  async #clearBacklogsBut(partition: Partition, present: ReadonlySet<string>): Promise<void> {
    for (const [key, backlog] of this.#backlogs) {
      if (backlog.partition === partition && !present.has(key)) await this.#clearBacklog(backlog);
    }
  }

  async #clearBacklog(backlog: Backlog): Promise<void> {
    this.#backlogs.delete(keyOf(backlog));
    this.#low.delete(backlog);
    await this.#markBacklog(backlog, false);
    this.#options.observe("backlog.cleared", { webhook_id: backlog.webhookId, priority: backlog.priority });
  }

  #markBacklog(lane: Lane, hasBacklog: boolean): Promise<void> {
    const { database } = this.#options;
    return database.run(() => setBacklog(database.sql, lane, hasBacklog));
  }
}

function keyOf({ webhookId, priority }: Lane): string {
  return `${webhookId} ${priority}`;
}
