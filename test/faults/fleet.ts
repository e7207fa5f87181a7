// Fairpost as it runs in production: an api and workers as processes of their own, on a real Postgres and NATS, any of
// which a fault may hit. Connections that a fault is to cut go through a TcpProxy.

import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import postgres from "postgres";
import { anyFreePort } from "../../src/dev/ports.ts";
import { isRunning } from "../../src/dev/processes.ts";
import { projectRoot } from "../../src/dev/project.ts";
import { leaseTtlMs } from "../../src/domain/lease.ts";
import { PARTITIONS } from "../../src/domain/limits.ts";
import {
  eventually,
  type TestDatabase,
  testDatabase,
  testFolder,
  type TestNats,
  testNats,
} from "../support/services.ts";
import type { NatsCluster } from "./nats-cluster.ts";
import { TcpProxy } from "./tcp-proxy.ts";

/** Short, so that leases are. */
const ATTEMPT_TIMEOUT_MS = 1_000;
export const LEASE_TTL_MS = leaseTtlMs(ATTEMPT_TIMEOUT_MS);

export type Role = {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly isSignalled: boolean;
  signal(signal: NodeJS.Signals): void;
};

export type FleetOptions = {
  workers: number;
  /** Beyond or instead of the usual settings. */
  env?: Record<string, string>;
  /** In place of the one server that is started for it. */
  cluster?: NatsCluster | undefined;
};

export class Fleet {
  readonly database: TestDatabase;
  readonly nats: TestNats;
  /** Between the api and Postgres. */
  readonly apiToPostgres: TcpProxy;
  /** Between the first worker and NATS, and between it and Postgres. */
  readonly workerToNats: TcpProxy;
  readonly workerToPostgres: TcpProxy;
  readonly url: string;
  readonly folder: string;
  readonly sql: postgres.Sql;
  readonly cluster: NatsCluster | undefined;
  readonly workers: Role[] = [];
  api: Role | undefined;
  readonly #env: Record<string, string>;
  readonly #all: Role[] = [];

  private constructor(
    parts: Pick<
      Fleet,
      "database" | "nats" | "apiToPostgres" | "workerToNats" | "workerToPostgres" | "url" | "folder" | "cluster"
    >,
    env: Record<string, string>,
  ) {
    this.database = parts.database;
    this.nats = parts.nats;
    this.apiToPostgres = parts.apiToPostgres;
    this.workerToNats = parts.workerToNats;
    this.workerToPostgres = parts.workerToPostgres;
    this.url = parts.url;
    this.folder = parts.folder;
    this.cluster = parts.cluster;
    this.#env = env;
    this.sql = postgres(this.database.url, { max: 2, onnotice: () => {} });
  }

  /** Resolves when the api is ready and the workers share the partitions. */
  static async start({ workers, env = {}, cluster }: FleetOptions): Promise<Fleet> {
    const [database, nats, port, folder] = await Promise.all([
      testDatabase(),
      testNats(),
      anyFreePort(),
      testFolder("fleet"),
    ]);
    const [apiToPostgres, workerToPostgres, workerToNats] = await Promise.all([
      TcpProxy.to(Number(new URL(database.url).port)),
      TcpProxy.to(Number(new URL(database.url).port)),
      TcpProxy.to(nats.port),
    ]);
    const url = `http://127.0.0.1:${port}`;
    const fleet = new Fleet(
      { database, nats, apiToPostgres, workerToNats, workerToPostgres, url, folder, cluster },
      {
        DATABASE_URL: database.url,
        NATS_URL: cluster?.url ?? nats.url,
        NATS_REPLICAS: cluster === undefined ? "1" : "3",
        PORT: String(port),
        JWT_SECRET: "a secret of the tests that is long enough",
        SECRETS_KEY: Buffer.alloc(32, 7).toString("base64"),
        EGRESS_ALLOW: "127.0.0.0/8",
        RETRY_SCHEDULE: "1,1,2,2,4,4,8,8",
        ATTEMPT_TIMEOUT_MS: String(ATTEMPT_TIMEOUT_MS),
        ...env,
      },
    );
    try {
      await Promise.all([fleet.startApi(), ...Array.from({ length: workers }, () => fleet.startWorker())]);
      await fleet.ready();
      await fleet.balanced(workers);
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  async startApi(): Promise<void> {
    this.api = await this.#spawn("api", { DATABASE_URL: through(this.database.url, this.apiToPostgres) });
  }

  async startWorker(): Promise<Role> {
    const isFirst = this.workers.length === 0 && this.#env["NATS_URL"] === this.nats.url;
    const env = isFirst
      ? {
          NATS_URL: through(this.nats.url, this.workerToNats),
          DATABASE_URL: through(this.database.url, this.workerToPostgres),
        }
      : {};
    const worker = this.#spawn("worker", env);
    const place = this.workers.length;
    const pending = { name: "starting" } as Role;
    this.workers.push(pending);
    this.workers[place] = await worker;
    return this.workers[place];
  }

  /** The api and the workers that have not ended. */
  running(): Role[] {
    return this.#all.filter(({ pid }) => isRunning({ pid }));
  }

  /** Those that ended although nobody told them to. */
  crashed(): Role[] {
    return this.#all.filter(({ pid, isSignalled }) => !isSignalled && !isRunning({ pid }));
  }

  /** In the order of their start. */
  worker(index: number): Role {
    const worker = this.workers[index];
    if (worker === undefined) throw new Error(`there is no worker ${index}`);
    return worker;
  }

  async ready(): Promise<void> {
    await eventually(async () => {
      const answer = await fetch(`${this.url}/ready`);
      if (answer.status !== 200) throw new Error(`not ready: ${await answer.text()}`);
    });
  }

  /** Which process owns each partition, by the bucket. */
  async owners(): Promise<Map<number, number>> {
    const connection = await this.connect();
    try {
      const bucket = await new Kvm(connection).open("webhook-owners");
      const owners = new Map<number, number>();
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        const entry = await bucket.get(`p${String(partition).padStart(2, "0")}`);
        if (entry?.operation === "PUT") owners.set(partition, entry.json<{ process: { pid: number } }>().process.pid);
      }
      return owners;
    } finally {
      await connection.close();
    }
  }

  /** Resolves when `workers` processes own an equal share of the partitions each; how many each owns. */
  async balanced(workers: number, timeoutMs = 20_000): Promise<number[]> {
    return eventually(async () => {
      const counts = Map.groupBy(await this.owners(), ([, pid]) => pid);
      const shares = [...counts.values()].map(({ length }) => length).toSorted((a, b) => a - b);
      const isEven = (shares.at(-1) ?? 0) - (shares[0] ?? 0) <= 1;
      const total = shares.reduce((sum, share) => sum + share, 0);
      if (shares.length !== workers || !isEven || total !== PARTITIONS) throw new Error(`shares: ${shares.join(" ")}`);
      return shares;
    }, timeoutMs);
  }

  /** The name of the server that leads the stream's copies. */
  async streamLeader(): Promise<string | undefined> {
    const connection = await this.connect();
    try {
      return (await (await jetstreamManager(connection)).streams.info("WEBHOOKS")).cluster?.leader;
    } finally {
      await connection.close();
    }
  }

  /** The stream takes no more than `bytes`; -1: no bound. */
  async boundStream(bytes: number): Promise<void> {
    const connection = await this.connect();
    try {
      const manager = await jetstreamManager(connection);
      const { config } = await manager.streams.info("WEBHOOKS");
      await manager.streams.update("WEBHOOKS", { ...config, max_bytes: bytes });
    } finally {
      await connection.close();
    }
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: (this.#env["NATS_URL"] ?? "").split(","), timeout: 2_000, reconnect: false });
  }

  async stop(): Promise<void> {
    for (const role of this.#all) role.signal("SIGKILL");
    await Promise.all(this.#all.map(({ exited }) => exited));
    this.apiToPostgres.stop();
    this.workerToNats.stop();
    this.workerToPostgres.stop();
    await this.sql.end({ timeout: 1 });
    await Promise.all([this.nats.stop(), this.cluster?.stop(), this.database.drop()]);
  }

  /** Resolves when it says that it is ready. It leaves when this process does: the channel between them closes. */
  async #spawn(role: "api" | "worker", env: Record<string, string>): Promise<Role> {
    const name = `${role}-${this.#all.length}`;
    const log = openSync(join(this.folder, `${name}.log`), "a");
    const ready = Promise.withResolvers<void>();
    const child = Bun.spawn([process.execPath, "src/main.ts", role], {
      cwd: projectRoot,
      env: { PATH: process.env["PATH"], ...this.#env, ...env },
      stdio: ["ignore", log, log],
      ipc: (message) => {
        if (message === "ready") ready.resolve();
      },
    });
    closeSync(log);
    const started = {
      name,
      pid: child.pid,
      exited: child.exited,
      isSignalled: false,
      signal(signal: NodeJS.Signals) {
        this.isSignalled = true;
        child.kill(signal);
      },
    };
    this.#all.push(started);
    await Promise.race([
      ready.promise,
      child.exited.then((code) => {
        throw new Error(`${name} ended while starting, with ${code}: see ${this.folder}`);
      }),
    ]);
    return started;
  }
}

function through(url: string, proxy: TcpProxy): string {
  const via = new URL(url);
  via.port = String(proxy.port);
  return via.href;
}
