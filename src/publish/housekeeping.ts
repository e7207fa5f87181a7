// What has to be done now and then, by one worker at a time: daily partitions made and dropped, deleted users' data purged.

import type { Database } from "../db/database.ts";
import {
  DAILY_TABLES,
  dropOldPartitions,
  ensureDayPartitions,
  purgeDeletedUsers,
  withHousekeepingLock,
} from "../db/day-partitions.ts";
import { MASS_CHANGE_ROWS_MAX } from "../domain/limits.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";

const INTERVAL_MS = 10 * 60_000;
const RETRY_MS = 30_000;

export type HousekeepingOptions = { database: Database; clock: Clock; observe: Observe; retentionDays: number };

export class Housekeeping implements Service {
  readonly name = "housekeeping";
  readonly #options: HousekeepingOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#running = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { database, clock, observe } = this.#options;
    let pauseMs = INTERVAL_MS;
    try {
      await withHousekeepingLock(database, async () => {
        if (!(await this.#clean())) pauseMs = RETRY_MS;
      });
    } catch (error) {
      observe("housekeeping.failed", { task: "lock", error: describeError(error) });
      pauseMs = RETRY_MS;
    }
    if (this.#stopped) return;
    this.#timer = clock.after(pauseMs, () => {
      this.#running = this.#run();
    });
  }

  /** Every task has its try: one that fails, time after time perhaps, ends no other. Says whether all went well. */
  async #clean(): Promise<boolean> {
    const { database, observe } = this.#options;
    const { sql, run } = database;
    const tasks: [string, () => Promise<unknown>][] = [
      ...DAILY_TABLES.map((table): [string, () => Promise<unknown>] => [
        `partitions of ${table}`,
        () => run(() => ensureDayPartitions(sql, table)),
      ]),
      ["retention", () => this.#drop()],
      ["purge", () => this.#purge()],
    ];
    let isDone = true;
    for (const [task, work] of tasks) {
      if (this.#stopped) break;
      try {
        await work();
      } catch (error) {
        observe("housekeeping.failed", { task, error: describeError(error) });
        isDone = false;
      }
    }
    return isDone;
  }

  async #drop(): Promise<void> {
    const { database, observe, retentionDays } = this.#options;
    const partitions = await database.run(() => dropOldPartitions(database.sql, retentionDays));
    if (partitions > 0) observe("retention.dropped", { partitions });
  }

  async #purge(): Promise<void> {
    const { sql, run } = this.#options.database;
    let purged = MASS_CHANGE_ROWS_MAX;
    while (purged === MASS_CHANGE_ROWS_MAX && !this.#stopped) {
      purged = await run(() => purgeDeletedUsers(sql, MASS_CHANGE_ROWS_MAX));
    }
  }
}
