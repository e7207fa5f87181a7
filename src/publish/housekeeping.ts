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
      await withHousekeepingLock(database.sql, () => this.#clean());
    } catch (error) {
      observe("housekeeping.failed", { task: "partitions and purge", error: describeError(error) });
      pauseMs = RETRY_MS;
    }
    if (this.#stopped) return;
    this.#timer = clock.after(pauseMs, () => {
      this.#running = this.#run();
    });
  }

  async #clean(): Promise<void> {
    const { database, observe, retentionDays } = this.#options;
    const { sql, run } = database;
    for (const table of DAILY_TABLES) await run(() => ensureDayPartitions(sql, table));
    const partitions = await run(() => dropOldPartitions(sql, retentionDays));
    if (partitions > 0) observe("retention.dropped", { partitions });
    let purged = MASS_CHANGE_ROWS_MAX;
    while (purged === MASS_CHANGE_ROWS_MAX && !this.#stopped) {
      purged = await run(() => purgeDeletedUsers(sql, MASS_CHANGE_ROWS_MAX));
    }
  }
}
