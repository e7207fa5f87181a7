// Keeps the stream in being and knows its epoch. Every process runs one: whoever connects first creates the stream, and
// whoever first sees another one (a deleted store) begins a new epoch.

import type { Database } from "../db/database.ts";
import { isNotMigrated } from "../db/migrate.ts";
import { noteBucket, noteStream } from "../db/stream-state.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { Reminder } from "../lib/reminder.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { NatsLink } from "../stream/connection.ts";
import { ensureTopology, isUnchanged, type Topology } from "../stream/topology.ts";

/** How often the stream is looked at while nothing seems wrong, and how soon after a failure. */
const CHECK_INTERVAL_MS = 2_000;
const RETRY_INTERVAL_MS = 500;
/** The same trouble is said this often. */
const REMINDER_MS = 10_000;

export type StreamKeeperOptions = {
  link: NatsLink;
  database: Database;
  clock: Clock;
  observe: Observe;
  replicas: number;
};

export type EnsuredStream = Topology & {
  epoch: number;
  /** The bucket of leases came after another one. */
  bucketIsSuccessor: boolean;
  connectionNumber: number;
};

export class StreamKeeper implements Service {
  readonly name = "stream-keeper";
  readonly #options: StreamKeeperOptions;
  readonly #listeners: ((ensured: EnsuredStream) => void)[] = [];
  readonly #reminder: Reminder;
  #ensured: EnsuredStream | undefined;
  #timer: Timer | undefined;
  /** Under way, on the connection of this number. */
  #looking: { connectionNumber: number; ended: Promise<void> } | undefined;
  #stopped = false;

  constructor(options: StreamKeeperOptions) {
    this.#options = options;
    this.#reminder = new Reminder(options.clock, REMINDER_MS);
  }

  /** The stream as this connection last saw it; undefined until it has been ensured, and after a disconnection. */
  get ensured(): EnsuredStream | undefined {
    const { link } = this.#options;
    if (link.connection === undefined || this.#ensured?.connectionNumber !== link.connectionNumber) return undefined;
    return this.#ensured;
  }

  /** Called after every (re)connection and every change of the stream or the bucket. */
  onEnsured(listener: (ensured: EnsuredStream) => void): void {
    this.#listeners.push(listener);
    if (this.ensured !== undefined) listener(this.ensured);
  }

  start(): Promise<void> {
    this.#options.link.listen({ connected: () => this.look(), disconnected: () => {} });
    this.look();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#looking?.ended;
  }

  /** Looks at the stream now: something suggests that it is not what it was. */
  look(): void {
    const { link, clock } = this.#options;
    const { connectionNumber } = link;
    // A look that began on an older connection waits for answers that cannot come any more: it is not waited for.
    if (this.#stopped || this.#looking?.connectionNumber === connectionNumber) return;
    this.#timer?.cancel();
    const isLatest = () => this.#looking === looking;
    const pause = this.#ensure().then(
      () => {
        if (isLatest()) this.#reminder.forget();
        return CHECK_INTERVAL_MS;
      },
      (error: unknown) => {
        if (isLatest()) this.#report(error);
        return RETRY_INTERVAL_MS;
      },
    );
    const ended = pause.then((pauseMs) => {
      if (!isLatest()) return;
      this.#looking = undefined;
      if (!this.#stopped) this.#timer = clock.after(pauseMs, () => this.look());
    });
    const looking = { connectionNumber, ended };
    this.#looking = looking;
  }

  async #ensure(): Promise<void> {
    const { link, observe, replicas } = this.#options;
    const connection = link.connection;
    if (connection === undefined) return;
    const { connectionNumber } = link;
    if (this.ensured !== undefined && (await isUnchanged(connection, this.ensured))) return;
    const assertCurrent = () => {
      if (link.connectionNumber !== connectionNumber) throw new Error("the connection broke meanwhile");
    };
    const topology = await ensureTopology(connection, replicas);
    assertCurrent();
    const { epoch, isNew, bucketIsSuccessor } = await this.#note(topology);
    assertCurrent();
    this.#ensured = { ...topology, epoch, bucketIsSuccessor, connectionNumber };
    observe(isNew && epoch > 1 ? "stream.epoch_began" : "stream.ensured", {
      epoch,
      stream_created_at: topology.streamCreatedAt,
    });
    for (const listener of this.#listeners) listener(this.#ensured);
  }

  async #note({ streamCreatedAt, bucketCreatedAt }: Topology) {
    const { database } = this.#options;
    try {
      const stream = await database.run(() => noteStream(database.sql, streamCreatedAt));
      return { ...stream, bucketIsSuccessor: await database.run(() => noteBucket(database.sql, bucketCreatedAt)) };
    } catch (error) {
      throw new PostgresFailure(error);
    }
  }

  #report(failure: unknown): void {
    const isPostgres = failure instanceof PostgresFailure;
    const trouble = isPostgres ? failure.cause : failure;
    // Whoever migrates may be at it just now: it is tried again all the same.
    const advice = isPostgres && isNotMigrated(trouble) ? "; the database is not up to date: `bun run migrate`" : "";
    const error = `${describeError(trouble)}${advice}`;
    if (!this.#reminder.isDue(`${isPostgres} ${error}`)) return;
    if (isPostgres) this.#options.observe("postgres.unavailable", { error, setting: "DATABASE_URL" });
    else this.#options.observe("stream.unavailable", { error, setting: "NATS_URL" });
  }
}

/** The stream is there, but could not be noted. */
class PostgresFailure extends Error {
  constructor(cause: unknown) {
    super("the stream could not be noted", { cause });
  }
}
