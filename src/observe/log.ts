// Log lines: JSON, one per thing that happened, with names from the catalogue.

import pino from "pino";
import { LEVELS, type Observe } from "./catalogue.ts";

/** Writes to standard output. `context` is in every line: role, worker id. Flushes every 100 ms and at exit. */
export function createLog(level: string, context: Record<string, unknown>): { observe: Observe; flush(): void } {
  const destination = pino.destination({ fd: 1, sync: false, minLength: 4_096, periodicFlush: 100 });
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
    flush: () => destination.flushSync(),
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
