// The faults, each under load. `strike` returns when it is over; the load goes on until a while after that.

import { sleep, systemClock } from "../../src/lib/clock.ts";
import type { Partition } from "../../src/domain/partition.ts";
import { NatsCluster } from "./nats-cluster.ts";
import { type Fleet, LEASE_TTL_MS, type Role } from "./fleet.ts";

export type Fault = {
  name: string;
  /** What is seen to be true of it, for --help. */
  about: string;
  workers: number;
  /** On several NATS servers, with copies of everything. */
  cluster?(): Promise<NatsCluster>;
  strike(fleet: Fleet): Promise<void>;
  /** Whose endpoints must find a new owner; all of them unless said. */
  victim?(fleet: Fleet): Role;
};

const pause = (ms: number) => sleep(systemClock, ms);
const firstWorker = (fleet: Fleet) => fleet.worker(0);

/** The first of three workers is without Postgres until the other two own everything. */
async function untilReplaced(fleet: Fleet, lose: () => void): Promise<void> {
  lose();
  await fleet.balanced(2, 90_000);
  fleet.workerToPostgres.heal();
}

export const FAULTS: readonly Fault[] = [
  {
    name: "worker-killed",
    about: "SIGKILL of one of three workers, another one started 2 s later",
    workers: 3,
    victim: firstWorker,
    async strike(fleet) {
      firstWorker(fleet).signal("SIGKILL");
      await pause(2_000);
      await fleet.startWorker();
    },
  },
  {
    name: "worker-frozen",
    about: "SIGSTOP of a worker for longer than its leases last, then SIGCONT",
    workers: 3,
    victim: firstWorker,
    async strike(fleet) {
      firstWorker(fleet).signal("SIGSTOP");
      await pause(LEASE_TTL_MS + 4_000);
      firstWorker(fleet).signal("SIGCONT");
    },
  },
  {
    name: "worker-leaves",
    about: "SIGTERM of one of three workers",
    workers: 3,
    victim: firstWorker,
    async strike(fleet) {
      firstWorker(fleet).signal("SIGTERM");
      const code = await firstWorker(fleet).exited;
      if (code !== 0) throw new Error(`the worker left with exit code ${code}`);
    },
  },
  {
    name: "worker-cut-from-nats",
    about: "the connection between one worker and NATS broken for 6 s",
    workers: 3,
    victim: firstWorker,
    async strike(fleet) {
      fleet.workerToNats.cut();
      await pause(6_000);
      fleet.workerToNats.heal();
    },
  },
  {
    name: "worker-nats-black-hole",
    about: "nothing passes between one worker and NATS for longer than its leases last",
    workers: 3,
    victim: firstWorker,
    async strike(fleet) {
      fleet.workerToNats.swallow();
      await pause(LEASE_TTL_MS + 4_000);
      fleet.workerToNats.heal();
    },
  },
  {
    name: "worker-cut-from-postgres",
    about: "the connections between one worker and Postgres broken until the others own everything",
    workers: 3,
    victim: firstWorker,
    strike: (fleet) => untilReplaced(fleet, () => fleet.workerToPostgres.cut()),
  },
  {
    name: "worker-postgres-black-hole",
    about: "the same, with nothing passing between them any more",
    workers: 3,
    victim: firstWorker,
    strike: (fleet) => untilReplaced(fleet, () => fleet.workerToPostgres.swallow()),
  },
  {
    name: "api-killed",
    about: "SIGKILL of the api, started again 1 s later",
    workers: 2,
    async strike(fleet) {
      fleet.api?.signal("SIGKILL");
      await pause(1_000);
      await fleet.startApi();
    },
  },
  {
    name: "api-cut-from-postgres",
    about: "the connections between the api and Postgres broken for 5 s",
    workers: 2,
    async strike(fleet) {
      fleet.apiToPostgres.cut();
      await pause(5_000);
      fleet.apiToPostgres.heal();
    },
  },
  {
    name: "nats-killed",
    about: "SIGKILL of NATS, started again on its store 2 s later",
    workers: 2,
    async strike(fleet) {
      await fleet.nats.kill();
      await pause(2_000);
      await fleet.nats.restart();
    },
  },
  {
    name: "nats-store-deleted",
    about: "SIGKILL of NATS, its store deleted, started again",
    workers: 2,
    strike: (fleet) => fleet.nats.wipe(),
  },
  {
    name: "nats-leader-killed",
    about: "of three NATS servers with three copies, SIGKILL of the one that leads the stream; back after 5 s",
    workers: 2,
    cluster: () => NatsCluster.start(),
    async strike(fleet) {
      const leader = await fleet.streamLeader();
      await fleet.cluster?.kill(leader);
      await pause(5_000);
      await fleet.cluster?.restart(leader);
    },
  },
  {
    name: "stream-full",
    about: "the stream's max_bytes refuses every publish for 5 s",
    workers: 2,
    async strike(fleet) {
      await fleet.boundStream(1);
      await pause(5_000);
      await fleet.boundStream(-1);
    },
  },
  {
    name: "postgres-killed",
    about: "SIGKILL of Postgres, started again 2 s later",
    workers: 2,
    async strike() {
      await servers().killPostgres();
      await pause(2_000);
      await servers().startPostgres();
    },
  },
  {
    name: "postgres-restarted",
    about: "Postgres stopped in order and started again",
    workers: 2,
    async strike() {
      await servers().stopPostgres();
      await servers().startPostgres();
    },
  },
  {
    name: "postgres-frozen",
    about: "SIGSTOP of Postgres for 15 s, then SIGCONT",
    workers: 2,
    async strike() {
      servers().signalPostgres("SIGSTOP");
      await pause(15_000);
      servers().signalPostgres("SIGCONT");
    },
  },
];

/** Faults of Postgres need one that is nobody else's. */
export type OwnServers = {
  killPostgres(): Promise<void>;
  stopPostgres(): Promise<void>;
  startPostgres(): Promise<void>;
  signalPostgres(signal: NodeJS.Signals): void;
};

let own: OwnServers | undefined;

export function haveOwnServers(given: OwnServers): void {
  own = given;
}

function servers(): OwnServers {
  if (own === undefined) throw new Error("this fault needs a Postgres of its own: bun run test:faults");
  return own;
}

export type Concerned = ReadonlySet<Partition> | undefined;

/** The partitions of a fault's victim; undefined: all of them. */
export async function partitionsOf(fault: Fault, fleet: Fleet): Promise<Concerned> {
  const victim = fault.victim?.(fleet);
  if (victim === undefined) return undefined;
  return new Set([...(await fleet.owners())].filter(([, pid]) => pid === victim.pid).map(([partition]) => partition));
}
