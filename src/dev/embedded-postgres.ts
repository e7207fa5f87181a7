// A Postgres of our own: made by initdb at the first start, password-protected, on loopback only.
// Postgres refuses to run as root; then another system user runs it, in a folder that it may not even be able to
// reach by its path: the server is started inside it and finds it as /proc/self/cwd.

import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Service } from "../lib/service.ts";
import { postgresFolder } from "./postgres-binaries.ts";
import { commandOf, endProcess, parentOf, processesBelow, type ProcessIdentity } from "./processes.ts";
import { serverEnvironment, ServerProcess } from "./server-process.ts";

/** The superuser of an embedded Postgres, and the database that it serves. */
const ROLE = "fairpost";
export const EMBEDDED_DATABASE = "fairpost";

/** Crash recovery of a large write-ahead log takes a while on a small machine. */
const READY_TIMEOUT_MS = 60_000;
/** A fast shutdown writes a checkpoint. */
const STOP_PATIENCE_MS = 10_000;

const PROGRAMS = ["postgres", "initdb"];

/** Sized for a machine with 2 cores, shared with everything else. */
const SETTINGS: Readonly<Record<string, string>> = {
  cluster_name: "fairpost",
  listen_addresses: "127.0.0.1",
  // Sockets would need a path of at most 107 characters; nobody uses them.
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "256MB",
  // Room for about a minute of full load between checkpoints, spread so that they do not stall anybody.
  max_wal_size: "2GB",
  min_wal_size: "256MB",
  checkpoint_timeout: "10min",
  checkpoint_completion_target: "0.9",
  wal_compression: "on",
  // The commit is the acceptance of an event, so it waits for the disk.
  synchronous_commit: "on",
  // Deliveries are updated often: dead rows must go before indexes grow.
  autovacuum_vacuum_scale_factor: "0.05",
  autovacuum_naptime: "15s",
  // Compiling costs more than it saves in short statements.
  jit: "off",
  log_min_messages: "warning",
  log_checkpoints: "off",
  log_line_prefix: "%m [%p] ",
};

export type EmbeddedPostgresOptions = {
  /** The cluster's folder; made when it is missing. */
  folder: string;
  port: number;
  password: string;
  logFile: string;
  /** Beyond or instead of the usual settings. */
  settings?: Readonly<Record<string, string>>;
};

export class EmbeddedPostgres implements Service {
  readonly name = "postgres";
  readonly #options: EmbeddedPostgresOptions;
  #process: ServerProcess | undefined;

  constructor(options: EmbeddedPostgresOptions) {
    this.#options = options;
  }

  /** Of `database`, as the superuser. */
  url(database = EMBEDDED_DATABASE): string {
    const { password, port } = this.#options;
    return `postgres://${ROLE}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  }

  get identity(): ProcessIdentity | undefined {
    return this.#process?.identity;
  }

  /** Resolves when the running server has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#process?.ended ?? Promise.resolve();
  }

  async start(): Promise<void> {
    const { folder, port, logFile } = this.#options;
    const user = await this.#ensureCluster();
    await endOrphanedPostgres(folder);
    removeStalePidFile(folder);
    const settings = { ...SETTINGS, ...this.#options.settings, port: String(port) };
    this.#process = new ServerProcess({
      name: "Postgres",
      command: [
        join(postgresFolder(user !== undefined), "bin/postgres"),
        "-D",
        user === undefined ? folder : "/proc/self/cwd",
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ],
      cwd: folder,
      logFile,
      user,
    });
    const { pid } = this.#process.identity;
    await this.#process.waitUntilReady(() => isReady(folder, pid), READY_TIMEOUT_MS);
  }

  /** Fast shutdown: sessions are ended, everything committed is on disk. */
  async stop(): Promise<void> {
    await this.#process?.end("SIGINT", STOP_PATIENCE_MS);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** The user that must run it, if not ourselves. */
  async #ensureCluster(): Promise<SystemUser | undefined> {
    const { folder } = this.#options;
    const isRoot = process.getuid?.() === 0;
    if (existsSync(join(folder, "PG_VERSION"))) {
      requireSameVersion(folder, postgresFolder(isRoot));
      const { uid, gid } = statSync(folder);
      return isRoot ? { uid, gid } : undefined;
    }
    const user = isRoot ? userForPostgres() : undefined;
    const unfinished = `${folder}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true, mode: 0o700 });
    if (user !== undefined) chownSync(unfinished, user.uid, user.gid);
    await this.#initialise(unfinished, user);
    renameSync(unfinished, folder);
    return user;
  }

  async #initialise(folder: string, user: SystemUser | undefined): Promise<void> {
    const password = openPasswordFile(this.#options.password, user);
    try {
      const initdb = Bun.spawn(
        [
          join(postgresFolder(user !== undefined), "bin/initdb"),
          `--pgdata=${user === undefined ? folder : "/proc/self/cwd"}`,
          `--username=${ROLE}`,
          "--pwfile=/dev/stdin",
          "--auth=scram-sha-256",
          "--encoding=UTF8",
          "--locale=C",
          // Upper and lower case of every alphabet, which C alone has of ASCII only; the order stays that of the bytes.
          "--locale-provider=builtin",
          "--builtin-locale=C.UTF-8",
          "--no-instructions",
          ...(this.#options.settings?.["fsync"] === "off" ? ["--no-sync"] : []),
        ],
        { cwd: folder, stdio: [password, "pipe", "pipe"], env: serverEnvironment(), ...user },
      );
      const [output, errors, exitCode] = await Promise.all([initdb.stdout.text(), initdb.stderr.text(), initdb.exited]);
      if (exitCode !== 0) throw new Error(`initdb failed in ${folder}:\n${output}${errors}`);
    } finally {
      closeSync(password);
    }
  }
}

/** A file that only `user` could open, and that has lost its name by the time that anybody knows of it. */
function openPasswordFile(password: string, user: SystemUser | undefined): number {
  const file = join(tmpdir(), `fairpost-initdb-${Bun.randomUUIDv7()}`);
  writeFileSync(file, password, { mode: 0o600, flag: "wx" });
  try {
    if (user !== undefined) chownSync(file, user.uid, user.gid);
    return openSync(file, "r");
  } finally {
    rmSync(file);
  }
}

/** Ends every Postgres whose data is in `folder` or below it: what a killed supervisor left running. */
export async function endOrphanedPostgres(folder: string): Promise<void> {
  const left = processesBelow(folder, PROGRAMS);
  // A first process ends its sessions and helpers with it, after a checkpoint; what then remains has lost its own.
  const leftPids = new Set(left.map(({ pid }) => pid));
  const first = left.filter(({ pid }) => !leftPids.has(parentOf(pid) ?? 0));
  await Promise.all(first.map((process_) => endProcess(process_, "SIGINT", STOP_PATIENCE_MS)));
  await Promise.all(processesBelow(folder, PROGRAMS).map((process_) => endProcess(process_, "SIGQUIT", 2_000)));
}

/** Removes the pid file of a server that has ended: by now its number may be a stranger's, whom Postgres would respect. */
function removeStalePidFile(folder: string): void {
  const pid = Number(readPidFile(folder)[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  const isStranger = process.platform === "linux" || !commandOf(pid).some((word) => word.includes("postgres"));
  if (isStranger) rmSync(join(folder, "postmaster.pid"), { force: true });
}

/** postmaster.pid: the pid is in its line 1, the state in line 8 (miscadmin.h, LOCK_FILE_LINE_PM_STATUS). */
function isReady(folder: string, pid: number): boolean {
  const lines = readPidFile(folder);
  return Number(lines[0]) === pid && lines[7]?.trim() === "ready";
}

function readPidFile(folder: string): string[] {
  try {
    return readFileSync(join(folder, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return [];
  }
}

type SystemUser = { uid: number; gid: number };

/** Whom root lets run Postgres: the distribution's own user for it, else nobody. */
function userForPostgres(): SystemUser {
  const users = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const fields = users.find((line) => line.startsWith(`${name}:`))?.split(":");
    const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
    if (uid > 0 && gid > 0) return { uid, gid };
  }
  throw new Error(
    "Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it. " +
      "Start as another user, or set DATABASE_URL.",
  );
}

function requireSameVersion(folder: string, binaries: string): void {
  const made = readFileSync(join(folder, "PG_VERSION"), "utf8").trim();
  const { version } = JSON.parse(readFileSync(join(dirname(binaries), "package.json"), "utf8")) as { version: string };
  const present = version.split(".")[0];
  if (made !== present) {
    throw new Error(
      `${folder} was made by Postgres ${made}, this is ${present}; run pg_upgrade or start a new DATA_DIR`,
    );
  }
}
