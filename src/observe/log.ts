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

/** What went wrong, in a form that may be logged: never a statement's parameters, which hold users' data. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  const code =
    "code" in cause && (typeof cause.code === "string" || typeof cause.code === "number") ? ` (${cause.code})` : "";
  return `${cause.message.slice(0, 300)}${code}`;
}
