// Log lines: JSON, one per thing that happened, with names from the catalogue.

import pino from "pino";
import { type Clock, sleep } from "../lib/clock.ts";
import { LEVELS, type Observe } from "./catalogue.ts";

/** Lines that may wait for a reader who has stopped reading; what comes then is dropped. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024;
/** How long a stop waits for that reader. */
const FLUSH_TIMEOUT_MS = 1_000;

export type Log = {
  observe: Observe;
  /** The last one: resolves when everything is written, or nobody reads it. */
  close(): Promise<void>;
};

/** Writes to standard output. `context` is in every line: role, worker id. Flushes every 100 ms. */
export function createLog(clock: Clock, level: string, context: Record<string, unknown>): Log {
  const destination = pino.destination({
    fd: 1,
    sync: false,
    minLength: 4_096,
    maxLength: WAITING_BYTES_MAX,
    periodicFlush: 100,
  });
  // Nobody reads it any more: the work goes on.
  destination.on("error", () => {});
  const logger = pino(
    {
      level,
      base: { ...context, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return {
    observe(name, fields) {
      const line: object = fields;
      logger[LEVELS[name] ?? "info"](line, name as string);
    },
    async close() {
      const written = new Promise<void>((resolve) => destination.flush(() => resolve()));
      await Promise.race([written, sleep(clock, FLUSH_TIMEOUT_MS)]);
      // What is left would be written as the process exits, however long that takes.
      destination.destroy();
    },
  };
}

/** Causes of causes that are followed. */
const CAUSES_MAX = 10;

/**
 * What went wrong, in a form that may be logged: the last of its causes says it best, and names no parameters of a statement,
 * which hold users' data.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  let last = error;
  for (let depth = 0; depth < CAUSES_MAX && last.cause instanceof Error; depth += 1) last = last.cause;
  const code =
    "code" in last && (typeof last.code === "string" || typeof last.code === "number") ? ` (${last.code})` : "";
  // As drizzle writes it: the statement, and then what was in it.
  const [message = ""] = last.message.split("\nparams:");
  return `${message.slice(0, 300)}${code}`;
}
