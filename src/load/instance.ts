// A Fairpost of our own on temporary data, with everything embedded, and the workers beside it. Gone without a trace
// when it is stopped; what a killed generator has left on disk, the next one removes.

import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildCommand } from "./child-command.ts";
import { processesIn, type ServiceProcess } from "./run-file.ts";

/** Attempts under way end within 15 s, the servers within a few more. */
const STOP_PATIENCE_MS = 30_000;

const PREFIX = "fairpost-load-";
const DATA = "data";

/** Everything embedded whatever our own environment says, on a port that is free, to receivers on this machine. */
const SETTINGS = {
  PORT: "",
  HOST: "127.0.0.1",
  DATABASE_URL: "",
  NATS_URL: "",
  REGISTRATION: "open",
  EGRESS_ALLOW: "127.0.0.0/8",
};

export type InstanceOptions = {
  api: string | undefined;
  dataDir: string | undefined;
  workers: number | undefined;
  log: string | undefined;
};

export class Instance {
  readonly isOwn: boolean;
  readonly workers: number;
  readonly #options: InstanceOptions;
  /** Ours alone, and gone with us. */
  readonly #folder = join(tmpdir(), `${PREFIX}${process.pid}-${Bun.randomUUIDv7()}`);
  readonly #dataDir: string | undefined;
  readonly #children: ChildCommand[] = [];
  #url: string;

  constructor(options: InstanceOptions) {
    this.#options = options;
    this.#url = options.api ?? "";
    this.isOwn = options.api === undefined;
    this.workers = options.workers ?? (this.isOwn ? 1 : 0);
    this.#dataDir = this.isOwn ? join(this.#folder, DATA) : options.dataDir;
  }

  get url(): string {
    return this.#url;
  }

  async start(): Promise<void> {
    removeAbandoned();
    // Embedded Postgres runs as another user where we are root, and has to get through.
    mkdirSync(this.#folder, { mode: 0o755 });
    const { log } = this.#options;
    const env: Record<string, string> = {};
    if (this.#dataDir !== undefined) env["DATA_DIR"] = this.#dataDir;
    if (this.isOwn) {
      Object.assign(env, SETTINGS);
      const errorLog = join(this.#folder, "start.log");
      await ChildCommand.start({ role: "start", env, log, errorLog }, (child) => this.#children.push(child));
      this.#url = this.processes().find(({ name }) => name === "api")?.url ?? "";
    }
    const added = this.isOwn ? this.workers - 1 : this.workers;
    for (let nth = 0; nth < added; nth += 1) {
      const name = `worker-${nth + 2}`;
      await ChildCommand.start(
        { role: "worker", env, log: log && `${log}.${name}`, errorLog: join(this.#folder, `${name}.log`) },
        (child) => this.#children.push(child),
      );
    }
  }

  /** As far as they are known: all of an instance of our own. */
  processes(): ServiceProcess[] {
    const services = this.#dataDir === undefined ? [] : processesIn(this.#dataDir);
    const workers = this.#children.slice(this.isOwn ? 1 : 0);
    return [...services, ...workers.map(({ pid }, index) => ({ name: `worker ${index + 2}`, pid }))];
  }

  async stop(): Promise<void> {
    const services = this.isOwn ? this.processes() : [];
    for (const child of this.#children.splice(0).toReversed()) {
      const isClean = await child.stop(STOP_PATIENCE_MS);
      if (!isClean) for (const { pid } of services) kill(pid);
    }
    remove(this.#folder);
  }
}

function removeAbandoned(): void {
  for (const entry of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(entry)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const folder = join(tmpdir(), entry);
    const isStopping = processesIn(join(folder, DATA)).some((process_) => isAlive(process_.pid));
    if (!isStopping) remove(folder);
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}
