// Whether Postgres answers this process: asked every few seconds, whatever else is going on.

import type { Clock } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import { Timers } from "../lib/timers.ts";
import type { Database } from "./database.ts";

const ASK_INTERVAL_MS = 3_000;
/** Longer than the deadline of one statement: a single slow answer is no outage. */
const SILENT_AFTER_MS = 15_000;

export class Pulse implements Service {
  readonly name = "pulse";
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #timers: Timers;
  #answeredAt: number;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#timers = new Timers(clock);
    this.#answeredAt = clock.monotonic();
  }

  get isAnswering(): boolean {
    return this.#clock.monotonic() - this.#answeredAt < SILENT_AFTER_MS;
  }

  start(): Promise<void> {
    this.#timers.every(ASK_INTERVAL_MS, () => {
      this.#database
        .run(() => this.#database.sql`SELECT 1`)
        .then(
          () => (this.#answeredAt = this.#clock.monotonic()),
          () => {},
        );
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timers.cancelAll();
    return Promise.resolve();
  }
}
