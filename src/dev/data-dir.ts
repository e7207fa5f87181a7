// DATA_DIR as the property of one `bun run start` at a time, and what it tells others: run.json says where everything
// is and which processes belong to it, so that other commands find the services and the next start finds orphans.

import { Database } from "bun:sqlite";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, type ConfigFault, type Environment, SETTINGS } from "../config.ts";
import { endOrphanedNats } from "./embedded-nats.ts";
import { endOrphanedPostgres } from "./embedded-postgres.ts";
import { endProcess, identify, isRunning, type ProcessIdentity } from "./processes.ts";

/** What a killed start's api and worker get to finish by themselves: they have noticed already. */
const ORPHAN_PATIENCE_MS = 3_000;

/** What runs on a DATA_DIR. */
export type Run = {
  supervisor: ProcessIdentity;
  /** In the order in which they are to be ended. */
  processes: (ProcessIdentity & { name: string; url?: string | undefined })[];
  /** What its api and worker run with, and others that join them: addresses, secrets, settings. */
  environment: Record<string, string>;
};

export class DataDirInUseError extends Error {
  constructor(folder: string, pid: string) {
    super(`Fairpost is already running on ${folder} (pid ${pid}). Stop it first, or set another DATA_DIR.`);
  }
}

function openLock(path: string): Database {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return new Database(join(path, "lock"), { create: true });
  } catch (error) {
    throw new Error(`DATA_DIR=${path}: should be a folder that we may make and write to (${(error as Error).message})`);
  }
}

export class DataDir {
  readonly path: string;
  readonly #lock: Database;

  private constructor(path: string, lock: Database) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes the folder if need be and takes it, or throws DataDirInUseError. SQLite's lock on a file is one of the
   * system's own: it ends with the process that holds it, however that ended, so it is never stale.
   */
  static take(path: string): DataDir {
    const lock = openLock(path);
    try {
      lock.run("PRAGMA busy_timeout = 0");
      lock.run("PRAGMA journal_mode = MEMORY");
      lock.run("BEGIN EXCLUSIVE");
    } catch (error) {
      lock.close();
      if ((error as { code?: string }).code !== "SQLITE_BUSY") throw error;
      throw new DataDirInUseError(path, readText(join(path, "pid"))?.trim() ?? "unknown");
    }
    writeFileSync(join(path, "pid"), `${process.pid}\n`);
    return new DataDir(path, lock);
  }

  /** Ends what a start that was killed has left running here. */
  async endOrphans(): Promise<void> {
    for (const process_ of readRun(this.path)?.processes ?? []) {
      if (process_.name === "api" || process_.name === "worker") {
        await endProcess(process_, "SIGTERM", ORPHAN_PATIENCE_MS);
      }
    }
    await Promise.all([endOrphanedPostgres(this.path), endOrphanedNats(this.path)]);
    // Where servers cannot be found by their folder, by the pids that were noted.
    for (const process_ of readRun(this.path)?.processes ?? []) await endProcess(process_, "SIGINT");
    rmSync(runFile(this.path), { force: true });
  }

  writeRun(run: Omit<Run, "supervisor">): void {
    const complete: Run = { supervisor: identify(process.pid), ...run };
    writePrivate(runFile(this.path), `${JSON.stringify(complete, undefined, 2)}\n`);
  }

  /** The value kept in secrets.json under `name`; made by `make` the first time. */
  keptSecret(name: string, make: () => string): { value: string; isNew: boolean } {
    const file = join(this.path, "secrets.json");
    const kept = JSON.parse(readText(file) ?? "{}") as Record<string, string>;
    const existing = kept[name];
    if (existing !== undefined) return { value: existing, isNew: false };
    const value = make();
    writePrivate(file, `${JSON.stringify({ ...kept, [name]: value }, undefined, 2)}\n`);
    return { value, isNew: true };
  }

  release(): void {
    for (const file of [runFile(this.path), join(this.path, "pid")]) {
      try {
        rmSync(file, { force: true });
      } catch {
        // What stays is known for what it is: its supervisor has ended, and the lock is free.
      }
    }
    this.#lock.close();
  }
}

/** What the start that runs on the folder has written down; undefined when none runs. */
export function findRun(folder: string): Run | undefined {
  const run = readRun(folder);
  return run !== undefined && isRunning(run.supervisor) ? run : undefined;
}

/** What belongs to a Postgres: who signed tokens for its users, and encrypted its secrets. */
const OF_POSTGRES = new Set([
  "DATABASE_URL",
  "JWT_SECRET",
  "SECRETS_KEY",
  "FIRST_SUPERUSER",
  "FIRST_SUPERUSER_PASSWORD",
]);

/**
 * `env` with the services of a running start where it names none. The start's secrets come with its Postgres, and its
 * other settings to whoever joins it, on both of its services; what `env` sets itself stays.
 */
export function withRunningServices(env: Environment, folder: string): Environment {
  const run = findRun(folder);
  if (run === undefined) return env;
  // EGRESS_ALLOW says something when it is empty.
  const isUnset = (name: string) => (name === "EGRESS_ALLOW" ? env[name] === undefined : !env[name]?.trim());
  const isShared = (name: string) => isUnset(name) || env[name]?.trim() === run.environment[name];
  const joins = isShared("DATABASE_URL") && isShared("NATS_URL");
  const found = Object.entries(run.environment).filter(([name]) => {
    if (!isUnset(name)) return false;
    if (name === "NATS_URL") return true;
    return OF_POSTGRES.has(name) ? isShared("DATABASE_URL") : joins;
  });
  return { ...env, ...Object.fromEntries(found) };
}

/** What `read` returns. Throws ConfigError with its faults, and with one of DATA_DIR if `folder` cannot be looked into. */
export function withDataDirFault<Result>(folder: string, read: () => Result): Result {
  const faults: ConfigFault[] = [];
  try {
    readText(runFile(folder));
  } catch (error) {
    const message = `DATA_DIR=${folder}: should be a folder that we may look into (${(error as Error).message})`;
    faults.push({ name: SETTINGS.dataDir.name, message });
  }
  try {
    const result = read();
    if (faults.length === 0) return result;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.faults);
  }
  throw new ConfigError(faults);
}

function readRun(folder: string): Run | undefined {
  try {
    const text = readText(runFile(folder));
    return text === undefined ? undefined : (JSON.parse(text) as Run);
  } catch {
    return undefined;
  }
}

function runFile(folder: string): string {
  return join(folder, "run.json");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** For our eyes only, and never half written. */
function writePrivate(file: string, text: string): void {
  const unfinished = `${file}.new`;
  writeFileSync(unfinished, text, { mode: 0o600 });
  chmodSync(unfinished, 0o600);
  renameSync(unfinished, file);
}
