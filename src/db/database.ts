// Connections to Postgres: one postgres.js client under drizzle for the API's queries by primary key and lists, and
// one of its own for the batched statements (drizzle rewrites its client's date and JSON codecs).

import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres from "postgres";
import { DomainError } from "../domain/error.ts";
import type { UserId } from "../domain/ids.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import { PerUserLimit, PerUserLimitError } from "../lib/per-user-limit.ts";
import { Semaphore } from "../lib/semaphore.ts";
import * as schema from "./schema.ts";

export type Orm = PostgresJsDatabase<typeof schema>;
export type Sql = postgres.Sql<{ bigint: number }>;
export type Transaction = Parameters<Parameters<Orm["transaction"]>[0]>[0];

export type Database = {
  orm: Orm;
  sql: Sql;
  /**
   * Runs a statement or a transaction on `sql` under the client-side deadline; past it, or without a connection:
   * DomainError("unavailable").
   */
  run: <Result>(work: () => PromiseLike<Result>) => Promise<Result>;
  /** The same on `orm`. For a user: a few of its statements at a time, so that its heavy ones do not take all connections. */
  query: <Result>(work: () => PromiseLike<Result>, userId?: UserId) => Promise<Result>;
  close(): Promise<void>;
};

export type DatabaseOptions = {
  url: string;
  clock: Clock;
  /** Connections of each of the two clients. */
  connectionsMax: number;
  queryTimeoutMs: number;
  /** Statements that may wait for an answer at once; one more fails at once. */
  queriesMax: number;
  applicationName: string;
  /** How long an account's next statements wait after one that took so long, milliseconds; left out: they do not. */
  restMs?: (tookMs: number, userId: UserId) => number;
};

/**
 * Connections that are left free of statements, for whoever reserves one. The driver never has more statements than
 * connections: it would send one behind a slow one, and wait for that, with others free a moment later.
 */
const SPARE_CONNECTIONS = 1;
/** Two, for a list and its count are asked for together. */
const STATEMENTS_PER_USER_MAX = 2;
const STATEMENTS_WAITING_PER_USER_MAX = 200;

const bigintAsNumber = {
  to: 20,
  from: [20],
  serialize: (value: number) => String(value),
  parse: (text: string) => Number(text),
};

export function openDatabase(options: DatabaseOptions): Database {
  const connect = (settings: Record<string, string> = {}) =>
    postgres(options.url, {
      max: options.connectionsMax,
      connect_timeout: Math.ceil(options.queryTimeoutMs / 1_000),
      idle_timeout: 0,
      max_lifetime: null,
      // Waits between reconnections, seconds: short, for what has been delivered and is not recorded may be sent again.
      backoff: (tries: number) => Math.min(0.1 * 2 ** tries, 0.5),
      types: { bigint: bigintAsNumber },
      connection: {
        application_name: options.applicationName,
        // Past our own deadline nobody waits for the answer: the server stops working on it as well.
        // A connection that is silent for two seconds more leads nowhere: the driver, as we patch it, gives it up.
        statement_timeout: options.queryTimeoutMs + 1_000,
        idle_in_transaction_session_timeout: options.queryTimeoutMs + 1_000,
        ...settings,
      },
      onnotice: () => {},
    });
  const ormClient = connect();
  // Planning a batched statement over all daily partitions takes longer than running it: once per connection is enough.
  // A plan may be made while a day's partition is empty, and reading that whole looks cheapest then: it must not.
  const sql = connect({ plan_cache_mode: "force_generic_plan", enable_seqscan: "off" }) as Sql;
  const orm = drizzle(ormClient, { schema });
  const gate = () => new Semaphore(Math.max(1, options.connectionsMax - SPARE_CONNECTIONS));
  const [gateOfOrm, gateOfSql] = [gate(), gate()];
  const perUser = new PerUserLimit(STATEMENTS_PER_USER_MAX, STATEMENTS_WAITING_PER_USER_MAX);

  async function inTime<Result>(gated: Semaphore, work: () => PromiseLike<Result>, userId?: UserId): Promise<Result> {
    let hasPassed = false;
    let begunAt: number | undefined;
    let timer: { cancel(): void } | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = options.clock.after(options.queryTimeoutMs, () => {
        hasPassed = true;
        reject(unavailable(`no answer within ${options.queryTimeoutMs} ms`));
      });
    });
    /** Holds its place until the statement has ended, which may be later than anybody waits for it. */
    const inTurn = async (): Promise<Result> => {
      if (gated.waiting >= options.queriesMax) throw unavailable("too many statements are waiting for it");
      await gated.acquire();
      try {
        if (hasPassed) throw unavailable("its turn came too late");
        begunAt = options.clock.monotonic();
        return await work();
      } finally {
        gated.release();
      }
    };
    const inTurnOf = (user: UserId): Promise<Result> =>
      perUser.run(user, inTurn, () => {
        if (begunAt === undefined) return undefined;
        const restMs = options.restMs?.(options.clock.monotonic() - begunAt, user) ?? 0;
        return restMs > 0 ? sleep(options.clock, restMs) : undefined;
      });
    try {
      return await Promise.race([userId === undefined ? inTurn() : inTurnOf(userId), deadline]);
    } catch (error) {
      if (error instanceof PerUserLimitError) throw unavailable("too many statements of this account are waiting");
      const why = whyUnavailable(error);
      throw why === undefined ? error : Object.assign(unavailable(why), { cause: error });
    } finally {
      timer?.cancel();
    }
  }

  return {
    orm,
    sql,
    run: (work) => inTime(gateOfSql, work),
    query: (work, userId) => inTime(gateOfOrm, work, userId),
    async close() {
      await Promise.all([ormClient.end({ timeout: 1 }), sql.end({ timeout: 1 })]);
    },
  };
}

function unavailable(why: string): DomainError {
  return new DomainError("unavailable", `The database does not answer just now (${why}). Try again shortly.`, {
    retryAfterS: 1,
  });
}

/** The code of a Postgres or connection error, from wherever the driver and drizzle have put it. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  if ("code" in error && typeof error.code === "string" && !(error instanceof DomainError)) return error.code;
  return "cause" in error ? errorCodeOf(error.cause) : undefined;
}

/** Postgres refuses a value: classes 22 (data), 23 (constraints) and 54 (too large, too deep). Without it the rest would do. */
export function isRefusedValue(error: unknown): boolean {
  return /^(22|23|54)/.test(errorCodeOf(error) ?? "");
}

export function isUniqueViolation(error: unknown): boolean {
  return errorCodeOf(error) === "23505";
}

const CONNECTION_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ENOTFOUND",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "57014", // our statement_timeout
  "25P03", // our idle_in_transaction_session_timeout
]);

/** In a few words, where it is the server's trouble and not the statement's. */
function whyUnavailable(error: unknown): string | undefined {
  const code = errorCodeOf(error) ?? "";
  // Classes 08 (connection), 57P (shutting down, starting up), 53 (disk, memory, connections) and 58 (the system) of Postgres.
  if (CONNECTION_CODES.has(code) || /^(08|57P|53300)/.test(code)) return "no connection";
  return /^(53|58)/.test(code) ? "its disk or memory is full, or does not work" : undefined;
}
