// Three nats-servers with three copies of the stream and of the leases: the loss of the one that leads loses nothing.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";
import { NatsCluster } from "./nats-cluster.ts";
import { runFault } from "./run-fault.ts";
import { violations } from "./verdict.ts";

let cluster: NatsCluster;

beforeAll(async () => {
  cluster = await NatsCluster.start();
}, 30_000);
afterAll(() => cluster.stop());

test("the stream's leader is killed under load, and comes back: nothing lost, nothing twice at once", async () => {
  const row = await runFault(
    {
      name: "nats-leader-killed",
      about: "",
      workers: 2,
      cluster,
      async strike(fleet) {
        const leader = await fleet.streamLeader();
        await cluster.kill(leader);
        await eventually(async () => {
          const next = await fleet.streamLeader();
          expect(next).toBeString();
          expect(next).not.toBe(leader);
        }, 20_000, 100);
        await sleep(systemClock, 2_000);
        await cluster.restart(leader);
      },
    },
    { perSecond: 100, warmUpMs: 2_000, coolDownMs: 2_000 },
  );
  console.log(row);
  expect(violations(row)).toEqual([]);
  expect(row.accepted).toBeGreaterThan(100);
}, 150_000);
