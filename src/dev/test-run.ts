// What one run of the tests needs: a folder that is removed afterwards with everything running in it, one Postgres for
// all files (without fsync, with a migrated database to copy), and the runner's report.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "../lib/clock.ts";
import { endOrphanedNats } from "./embedded-nats.ts";
import { EmbeddedPostgres, endOrphanedPostgres } from "./embedded-postgres.ts";
import { anyFreePort } from "./ports.ts";
import { endProcess, identify, isRunning } from "./processes.ts";
import { projectRoot } from "./project.ts";

/** The migrated database that test databases are copies of. */
export const TEMPLATE_DATABASE = "fairpost_template";

const FOLDER_PREFIX = "fairpost-test-";

/** What a start that is interrupted gets to notice it. */
const START_PATIENCE_MS = 300;

/** Nothing of a test run has to survive a crash of the machine. */
const THROWAWAY_SETTINGS = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "128MB",
  max_wal_size: "1GB",
};

/** What a test or a hook may take before it is said to hang: far more than any takes on a busy machine. */
const HANGING_AFTER_MS = 60_000;

export type Counts = { passed: number; failed: number };

export class TestRun {
  /** Everything of this run is below it. Its name says whose it is, so that a later run removes it if need be. */
  readonly folder: string;
  #postgres: EmbeddedPostgres | undefined;
  #runner: Bun.Subprocess | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor() {
    const { pid, startTicks } = identify(process.pid);
    this.folder = join(tmpdir(), `${FOLDER_PREFIX}${pid}-${startTicks ?? ""}-${Bun.randomUUIDv7().slice(-6)}`);
  }

  get databaseUrl(): string {
    if (this.#postgres === undefined) throw new Error("the test run has not started");
    return this.#postgres.url("postgres");
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    await removeAbandonedRuns();
    if (this.#stopping !== undefined) throw new Error("stopped before the start");
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    this.#postgres = new EmbeddedPostgres({
      folder: join(this.folder, "postgres"),
      port: await anyFreePort(),
      password: Bun.randomUUIDv7(),
      logFile: join(this.folder, "postgres.log"),
      settings: THROWAWAY_SETTINGS,
    });
    await this.#postgres.start();
    // Imported late: in a fresh clone the packages have only just been installed.
    const { createDatabase } = await import("./create-database.ts");
    const { migrateDatabase } = await import("../db/migrate.ts");
    await createDatabase(this.databaseUrl, TEMPLATE_DATABASE);
    await migrateDatabase(this.#postgres.url(TEMPLATE_DATABASE));
  }

  async runTests(args: string[]): Promise<Counts> {
    const report = join(this.folder, "report.xml");
    rmSync(report, { force: true });
    const options = [`--timeout=${HANGING_AFTER_MS}`, "--reporter=junit", `--reporter-outfile=${report}`];
    this.#runner = Bun.spawn([process.execPath, "test", ...options, ...args], {
      cwd: projectRoot,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, TEST_DATABASE_URL: this.databaseUrl, TEST_FOLDER: this.folder },
    });
    const exitCode = await this.#runner.exited;
    return countsOf(existsSync(report) ? readFileSync(report, "utf8") : undefined, exitCode);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (this.#runner !== undefined) await endProcess(identify(this.#runner.pid), "SIGTERM", 1_000);
    await this.#postgres?.kill();
    // In the middle of a start: without its server, or initdb, the rest of it fails.
    await endOrphanedPostgres(this.folder);
    await Promise.race([this.#starting?.catch(() => {}), sleep(systemClock, START_PATIENCE_MS)]);
    await this.#postgres?.kill();
    await removeRun(this.folder);
  }
}

/**
 * The report's counts. A file that does not load is missing from it, and `process.exit(0)` inside a test leaves none:
 * no report, or an exit code that the counts do not explain, is one failure.
 */
export function countsOf(report: string | undefined, exitCode: number | null): Counts {
  const root = /<testsuites\b[^>]*>/.exec(report ?? "")?.[0];
  if (root === undefined) return { passed: 0, failed: 1 };
  const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const passed = count("tests") - failed - count("skipped");
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

/** Those whose runner was killed before it could clean up. */
async function removeAbandonedRuns(): Promise<void> {
  for (const entry of readdirSync(tmpdir())) {
    const [, pid, startTicks] = /^fairpost-test-(\d+)-(\d*)-/.exec(entry) ?? [];
    if (pid === undefined || isRunning({ pid: Number(pid), startTicks: startTicks || undefined })) continue;
    await removeRun(join(tmpdir(), entry));
  }
}

async function removeRun(folder: string): Promise<void> {
  await Promise.all([endOrphanedPostgres(folder), endOrphanedNats(folder)]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
