// A Postgres for the fault table alone, which may be killed: committed is on disk as far as the system knows, so a
// SIGKILL loses nothing, while the machine itself is not expected to crash.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase } from "../../src/dev/create-database.ts";
import { endOrphanedNats } from "../../src/dev/embedded-nats.ts";
import { EmbeddedPostgres } from "../../src/dev/embedded-postgres.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { processesBelow } from "../../src/dev/processes.ts";
import { TEMPLATE_DATABASE } from "../../src/dev/test-run.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import type { OwnServers } from "./faults.ts";

export class Servers implements OwnServers {
  readonly folder: string;
  readonly #postgres: EmbeddedPostgres;

  private constructor(folder: string, postgres: EmbeddedPostgres) {
    this.folder = folder;
    this.#postgres = postgres;
  }

  /** Also makes it the Postgres of test/support. */
  static async start(): Promise<Servers> {
    const folder = mkdtempSync(join(tmpdir(), "fairpost-faults-"));
    const postgres = new EmbeddedPostgres({
      folder: join(folder, "postgres"),
      port: await anyFreePort(),
      password: Bun.randomUUIDv7(),
      logFile: join(folder, "postgres.log"),
      settings: { fsync: "off", full_page_writes: "off", shared_buffers: "128MB", max_wal_size: "1GB" },
    });
    const servers = new Servers(folder, postgres);
    await postgres.start();
    await createDatabase(postgres.url("postgres"), TEMPLATE_DATABASE);
    await migrateDatabase(postgres.url(TEMPLATE_DATABASE));
    process.env["TEST_FOLDER"] = folder;
    process.env["TEST_DATABASE_URL"] = postgres.url("postgres");
    return servers;
  }

  killPostgres(): Promise<void> {
    return this.#postgres.kill();
  }

  stopPostgres(): Promise<void> {
    return this.#postgres.stop();
  }

  startPostgres(): Promise<void> {
    return this.#postgres.start();
  }

  /** To the server and all of its sessions. */
  signalPostgres(signal: NodeJS.Signals): void {
    for (const { pid } of processesBelow(join(this.folder, "postgres"), ["postgres"])) process.kill(pid, signal);
  }

  /** With every nats-server below its folder. */
  async stop({ keepFolder }: { keepFolder: boolean }): Promise<void> {
    await Promise.all([this.#postgres.kill(), endOrphanedNats(this.folder)]);
    if (!keepFolder) rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
