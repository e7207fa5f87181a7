// What every benchmark stands on: Postgres with its durable settings, a nats-server, a receiver in a process of its own,
// and the roles as the processes that they are in production. Everything is below one temporary folder.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase } from "../../src/dev/create-database.ts";
import { EmbeddedNats } from "../../src/dev/embedded-nats.ts";
import { EMBEDDED_DATABASE, EmbeddedPostgres } from "../../src/dev/embedded-postgres.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { migrateDatabase } from "../../src/db/migrate.ts";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { cpuSecondsOf, memoryBytesOf } from "./processes.ts";

const ROOT = join(import.meta.dirname, "../..");

export type Role = { pid: number; stop(): Promise<void> };

export class Rig {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly #postgres: EmbeddedPostgres;
  readonly #nats: EmbeddedNats;
  readonly #children = new Map<string, Bun.Subprocess>();

  private constructor(folder: string, postgres: EmbeddedPostgres, nats: EmbeddedNats) {
    this.folder = folder;
    this.#postgres = postgres;
    this.#nats = nats;
    this.databaseUrl = postgres.url(EMBEDDED_DATABASE);
    this.natsUrl = nats.url;
  }

  static async start(): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), "fairpost-bench-"));
    const postgres = new EmbeddedPostgres({
      folder: join(folder, "postgres"),
      port: await anyFreePort(),
      password: Bun.randomUUIDv7(),
      logFile: join(folder, "postgres.log"),
    });
    await postgres.start();
    await createDatabase(postgres.url("postgres"), EMBEDDED_DATABASE);
    await migrateDatabase(postgres.url(EMBEDDED_DATABASE));
    const nats = new EmbeddedNats({
      folder: join(folder, "nats"),
      port: await anyFreePort(),
      logFile: join(folder, "nats.log"),
    });
    await nats.start();
    return new Rig(folder, postgres, nats);
  }

  /** The environment of a role on these services. */
  environment(more: Record<string, string> = {}): Record<string, string> {
    return {
      ...(process.env as Record<string, string>),
      DATABASE_URL: this.databaseUrl,
      NATS_URL: this.natsUrl,
      DATA_DIR: join(this.folder, "data"),
      JWT_SECRET: "a secret for benchmarks, 32 characters and more",
      SECRETS_KEY: Buffer.alloc(32, 7).toString("base64"),
      EGRESS_ALLOW: "127.0.0.0/8",
      LOG_LEVEL: "warn",
      ...more,
    };
  }

  /** Starts a role of Fairpost, or any script, and waits until it says "ready". */
  async spawn(name: string, command: string[], environment: Record<string, string>): Promise<Role> {
    const ready = Promise.withResolvers<void>();
    const child = Bun.spawn([process.execPath, ...command], {
      cwd: ROOT,
      env: environment,
      stdio: ["ignore", name.startsWith("receiver") ? "ignore" : Bun.file(join(this.folder, `${name}.log`)), "inherit"],
      ipc: (message) => {
        if (message === "ready") ready.resolve();
      },
    });
    child.exited.then(
      (code) => ready.reject(new Error(`${name} ended with exit code ${code}`)),
      () => {},
    );
    this.#children.set(name, child);
    await ready.promise;
    return {
      pid: child.pid,
      stop: async () => {
        child.kill("SIGTERM");
        await child.exited;
        this.#children.delete(name);
      },
    };
  }

  unfairWorker(): Promise<Role> {
    return this.spawn("unfair-worker", ["test/bench/unfair-worker.ts"], this.environment());
  }

  worker(name = "worker", more: Record<string, string> = {}): Promise<Role> {
    const profile = process.env["BENCH_PROFILE"];
    const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
    return this.spawn(name, [...flags, "src/main.ts", "worker"], this.environment(more));
  }

  async api(more: Record<string, string> = {}): Promise<Role & { url: string }> {
    const port = await anyFreePort();
    const profile = process.env["BENCH_PROFILE_API"];
    const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
    const role = await this.spawn(
      "api",
      [...flags, "src/main.ts", "api"],
      this.environment({ PORT: String(port), ...more }),
    );
    return { ...role, url: `http://127.0.0.1:${port}/api/v1` };
  }

  /** CPU seconds used so far, by process. */
  cpu(): Record<string, number> {
    const seconds: Record<string, number> = {
      postgres: cpuSecondsOf(this.#postgres.identity?.pid),
      nats: cpuSecondsOf(this.#nats.identity?.pid),
    };
    for (const [name, child] of this.#children) seconds[name] = cpuSecondsOf(child.pid);
    return seconds;
  }

  memoryOf(role: Role): number {
    return memoryBytesOf(role.pid);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.values()) child.kill("SIGTERM");
    await Promise.race([
      Promise.all([...this.#children.values()].map((child) => child.exited)),
      sleep(systemClock, 10_000),
    ]);
    for (const child of this.#children.values()) child.kill("SIGKILL");
    await this.#nats.stop();
    await this.#postgres.stop();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
