// Three nats-servers on this machine that share their streams, from the same nats.conf as a single one.

import { join } from "node:path";
import { EmbeddedNats } from "../../src/dev/embedded-nats.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { testFolder } from "../support/services.ts";

const SERVERS = ["nats-1", "nats-2", "nats-3"] as const;

export class NatsCluster {
  readonly #servers: ReadonlyMap<string, EmbeddedNats>;

  private constructor(servers: ReadonlyMap<string, EmbeddedNats>) {
    this.#servers = servers;
  }

  static async start(): Promise<NatsCluster> {
    const folder = await testFolder("nats-cluster");
    const ports = await distinctFreePorts(SERVERS.length * 2);
    const clusterPorts = ports.slice(SERVERS.length);
    const routes = clusterPorts.map((port) => `nats://127.0.0.1:${port}`);
    const servers = SERVERS.map((serverName, index) => {
      const [port = 0, clusterPort = 0] = [ports[index], clusterPorts[index]];
      const cluster = { name: "fairpost", serverName, port: clusterPort, routes };
      const logFile = join(folder, `${serverName}.log`);
      return [serverName, new EmbeddedNats({ folder: join(folder, serverName), port, logFile, cluster })] as const;
    });
    await Promise.all(servers.map(([, server]) => server.start()));
    return new NatsCluster(new Map(servers));
  }

  /** All of them, as NATS_URL takes them. */
  get url(): string {
    return [...this.#servers.values()].map(({ url }) => url).join(",");
  }

  async kill(name: string | undefined): Promise<void> {
    await this.#server(name).kill();
  }

  /** On its store, after `kill`. */
  async restart(name: string | undefined): Promise<void> {
    await this.#server(name).start();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.kill()));
  }

  #server(name: string | undefined): EmbeddedNats {
    const server = this.#servers.get(name ?? "");
    if (server === undefined) throw new Error(`there is no server ${name}`);
    return server;
  }
}

async function distinctFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await anyFreePort());
  return [...ports];
}
