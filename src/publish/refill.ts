// Moves what is due and waits in the table into the stream, lane by lane, as room appears. Every owned partition is
// swept about once a second; a lane with a known backlog is filled again as soon as half of what should wait for its
// endpoint is gone.

import type { Database } from "../db/database.ts";
import {
  type Bookmark,
  clearBacklog,
  type DueRow,
  type Lane,
  type LaneRoom,
  listBacklogs,
  listDue,
  listPayloads,
  listWaitingLanes,
  markBacklogs,
  type UsersLane,
} from "../db/waiting.ts";
import type { DeliveryId, UserId } from "../domain/ids.ts";
import { STREAM_MESSAGES_PER_SUBJECT_MAX, SWEEP_INTERVAL_MS } from "../domain/limits.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { Semaphore } from "../lib/semaphore.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { NatsLink } from "../stream/connection.ts";
import { countLanes } from "../stream/inspect.ts";
import { type Backlog, Backlogs, keyOf } from "./backlogs.ts";
import type { Outgoing } from "./outgoing.ts";
import { inPieces, PIECE_BYTES_MAX } from "./pieces.ts";

/** Lanes walked over in one sweep of one partition, waiting ones and marked ones; the next sweep goes on behind them. */
const SWEEP_LANES_MAX = 1_000;
/** Lanes read in one statement: a longer one would hold others up. */
const FILL_LANES_MAX = 20;

export type RefillOptions = {
  database: Database;
  link: NatsLink;
  outgoing: Pick<Outgoing, "publish">;
  clock: Clock;
  observe: Observe;
  /** In this worker's hands: its row may still look as if it waited. */
  isHeld: (deliveryId: DeliveryId) => boolean;
  /** How many messages of a lane should wait in this worker for their turn, and how many do. */
  laneOf: (lane: Lane) => { depth: number; waiting: number };
  /** False while this worker holds so much that nothing more of this user's should come in. */
  hasAppetite: (userId: UserId) => boolean;
  /** How long to leave backlogs alone after `tookMs` of work for them, milliseconds: others may need the machine. */
  restMs: (tookMs: number) => number;
};

/** Behind which waiting lane the next sweep of a partition starts, and behind which marked one; undefined: from the first. */
type Progress = { waiting: Lane | undefined; marked: Lane | undefined };

/** A lane with so many messages in the stream, and room for more. */
type OpenLane = UsersLane & LaneRoom & { inStream: number };

export class Refill implements Service {
  readonly name = "refill";
  readonly #options: RefillOptions;
  readonly #owned = new Map<Partition, Progress>();
  readonly #backlogs: Backlogs;
  /** One piece at a time is read beyond the first of a fill. */
  readonly #pieces = new Semaphore(1);
  readonly #running: Promise<void>[] = [];
  #wakeLow: (() => void) | undefined;
  #stopped = false;

  constructor(options: RefillOptions) {
    this.#options = options;
    this.#backlogs = new Backlogs(options.clock);
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
    this.#owned.set(partition, { waiting: undefined, marked: undefined });
  }

  disown(partition: Partition): void {
    this.#owned.delete(partition);
    for (const backlog of this.#backlogs.ofPartition(partition)) this.#backlogs.forget(backlog);
  }

  /** A message of this lane has left the stream. `isHandedBack`: its row waits again, due as before. */
  messageLeft(lane: Lane, isHandedBack: boolean): void {
    const backlog = this.#backlogs.isEmpty ? undefined : this.#backlogs.get(lane);
    if (backlog === undefined) return;
    if (isHandedBack) backlog.bookmark = undefined;
    this.#noteInStream(backlog, backlog.inStream - 1);
  }

  /** Whether some of this user's lanes have more due than the stream takes. */
  hasBacklog(userId: UserId): boolean {
    return this.#backlogs.hasUser(userId);
  }

  /** So many messages of it are in the stream. It is filled again when half of what should wait for its turn has had it. */
  #noteInStream(backlog: Backlog, inStream: number): void {
    backlog.inStream = inStream;
    const { depth, waiting } = this.#options.laneOf(backlog);
    if (waiting > depth / 2 || inStream >= STREAM_MESSAGES_PER_SUBJECT_MAX) return;
    this.#backlogs.noteLow(backlog);
    this.#wakeLow?.();
  }

  async #sweepForever(): Promise<void> {
    const { clock, observe } = this.#options;
    while (!this.#stopped) {
      const startedAt = clock.monotonic();
      for (const partition of this.#owned.keys()) {
        if (this.#stopped) break;
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
    const { database, link, hasAppetite } = this.#options;
    const connection = link.connection;
    const progress = this.#owned.get(partition);
    if (connection === undefined || progress === undefined) return;
    // One that is marked and not known yet is a lane like any other.
    const marked = await database.run(() => listBacklogs(database.sql, partition, progress.marked, SWEEP_LANES_MAX));
    if (!this.#owned.has(partition)) return;
    progress.marked = goOnBehind(marked);
    for (const lane of marked) this.#backlogs.ensure(partition, lane, STREAM_MESSAGES_PER_SUBJECT_MAX);
    const after = progress.waiting;
    const lanes = await database.run(() => listWaitingLanes(database.sql, partition, after, SWEEP_LANES_MAX));
    if (!this.#owned.has(partition)) return;
    progress.waiting = goOnBehind(lanes);
    const present = new Set(lanes.map(keyOf));
    // A marked lane without anything waiting needs the mark no longer.
    if (after === undefined && progress.waiting === undefined) await this.#clearBacklogsBut(partition, present);
    if (!lanes.some(({ userId }) => hasAppetite(userId))) return;
    const counts = new Map((await countLanes(connection, partition)).map((lane) => [keyOf(lane), lane.messages]));
    const withRoom: OpenLane[] = [];
    for (const lane of lanes) {
      const inStream = counts.get(keyOf(lane)) ?? 0;
      const backlog = this.#backlogs.get(lane);
      if (backlog === undefined) withRoom.push(this.#withRoom(lane, inStream));
      else this.#noteInStream(backlog, inStream);
    }
    while (withRoom.length > 0) {
      const next = withRoom.splice(0, FILL_LANES_MAX).filter(({ userId, room }) => room > 0 && hasAppetite(userId));
      if (this.#stopped || !this.#owned.has(partition)) return;
      if (next.length > 0) await this.#fill(partition, next);
    }
  }

  async #fillLowForever(): Promise<void> {
    const { clock, observe, restMs } = this.#options;
    while (!this.#stopped) {
      const chosen = this.#backlogs.takeLow(FILL_LANES_MAX, this.#options.hasAppetite);
      const [first] = chosen;
      if (first === undefined) {
        const woken = Promise.withResolvers<void>();
        this.#wakeLow = woken.resolve;
        const timer = clock.after(SWEEP_INTERVAL_MS, woken.resolve);
        await woken.promise;
        timer.cancel();
        continue;
      }
      if (!this.#owned.has(first.partition)) continue;
      const startedAt = clock.monotonic();
      try {
        const withRoom = chosen.map((lane) => this.#withRoom(lane, lane.inStream)).filter(({ room }) => room > 0);
        if (withRoom.length > 0) await this.#fill(first.partition, withRoom);
      } catch (error) {
        observe("refill.failed", { partition: partitionName(first.partition), error: describeError(error) });
      }
      const rest = restMs(clock.monotonic() - startedAt);
      if (rest > 0) await sleep(clock, rest);
    }
  }

  #withRoom(lane: UsersLane, inStream: number): OpenLane {
    const { depth, waiting } = this.#options.laneOf(lane);
    return { ...lane, inStream, room: Math.min(depth - waiting, STREAM_MESSAGES_PER_SUBJECT_MAX - inStream) };
  }

  /** Reads the oldest due rows of each lane, at most its room, and publishes them in that order. */
  async #fill(partition: Partition, lanes: readonly OpenLane[]): Promise<void> {
    const { database } = this.#options;
    const asked = lanes.map((lane) => ({ ...lane, after: this.#backlogs.bookmarkOf(lane) }));
    const rows = await database.run(() => listDue(database.sql, partition, asked, PIECE_BYTES_MAX));
    const byLane = Map.groupBy(rows, keyOf);
    await Promise.all(
      asked.map(async (lane) => {
        const due = byLane.get(keyOf(lane)) ?? [];
        const stored = await this.#publishAll(partition, due);
        await this.#after(partition, lane, due, stored);
      }),
    );
  }

  /** Publishes a lane's due rows in order. Says how many are in the stream now, up to the first failure. */
  async #publishAll(partition: Partition, due: readonly DueRow[]): Promise<number> {
    const read = due.filter(({ payload }) => payload !== undefined);
    let stored = await this.#publishPiece(partition, read);
    let tried = read.length;
    for (const piece of inPieces(due.slice(read.length))) {
      if (stored < tried) break;
      tried += piece.length;
      await this.#pieces.acquire();
      try {
        stored += await this.#publishPiece(partition, await this.#withPayloads(piece));
      } finally {
        this.#pieces.release();
      }
    }
    return stored;
  }

  /** With the payloads that the answer left out. None of it while so much is held that it need not come in. */
  async #withPayloads(piece: readonly DueRow[]): Promise<DueRow[]> {
    const { database, hasAppetite } = this.#options;
    if (this.#stopped || piece.some(({ userId }) => !hasAppetite(userId))) return [];
    const ids = piece.map(({ eventId }) => eventId);
    const payloads = await database.run(() => listPayloads(database.sql, ids));
    return piece.map((row) => ({ ...row, payload: payloads.get(row.eventId) }));
  }

  /** Publishes what is not in our hands already. */
  async #publishPiece(partition: Partition, piece: readonly DueRow[]): Promise<number> {
    const { outgoing, isHeld } = this.#options;
    if (!this.#owned.has(partition)) return 0;
    const published = await Promise.all(
      piece.map(async ({ payload, ...row }) => {
        if (isHeld(row.id)) return { kind: "held" } as const;
        if (payload === undefined) return { kind: "failed" } as const;
        return outgoing.publish({ ...row, payload, deliveryId: row.id, origin: "refill" });
      }),
    );
    const firstFailure = published.findIndex(({ kind }) => kind === "subject_full" || kind === "failed");
    return firstFailure === -1 ? piece.length : firstFailure;
  }

  async #after(
    partition: Partition,
    lane: OpenLane & { after: Bookmark | undefined },
    due: readonly DueRow[],
    stored: number,
  ): Promise<void> {
    if (!this.#owned.has(partition)) return;
    const { database } = this.#options;
    // Messages may have left meanwhile.
    const inStream = (this.#backlogs.get(lane)?.inStream ?? lane.inStream) + stored;
    if (due.length >= lane.room) {
      const isNew = this.#backlogs.get(lane) === undefined;
      const backlog = this.#backlogs.ensure(partition, lane, inStream);
      backlog.inStream = inStream;
      const last = due[stored - 1]?.bookmark;
      if (last !== undefined) backlog.bookmark = last;
      if (stored < due.length) backlog.inStream = STREAM_MESSAGES_PER_SUBJECT_MAX;
      if (isNew) await database.run(() => markBacklogs(database.sql, [lane]));
      return;
    }
    const backlog = this.#backlogs.get(lane);
    if (backlog === undefined) return;
    backlog.inStream = inStream;
    // Nothing more behind the bookmark; what was handed back before it is read next time.
    if (lane.after !== undefined) backlog.bookmark = undefined;
    else if (stored === due.length) await this.#clearBacklog(backlog);
  }

  async #clearBacklogsBut(partition: Partition, present: ReadonlySet<string>): Promise<void> {
    for (const backlog of this.#backlogs.ofPartition(partition)) {
      if (!present.has(keyOf(backlog))) await this.#clearBacklog(backlog);
    }
  }

  async #clearBacklog(backlog: Backlog): Promise<void> {
    const { database, observe } = this.#options;
    this.#backlogs.forget(backlog);
    if (!(await database.run(() => clearBacklog(database.sql, backlog)))) return;
    observe("backlog.cleared", { webhook_id: backlog.webhookId, priority: backlog.priority });
  }
}

function goOnBehind(lanes: readonly Lane[]): Lane | undefined {
  return lanes.length < SWEEP_LANES_MAX ? undefined : lanes.at(-1);
}
