// Three nats-servers with three copies of the stream and of the leases: the loss of the one that leads loses nothing.

import { afterAll, beforeAll, expect, test } from "bun:test";
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
        console.log("strike", performance.now());
        const leader = await fleet.streamLeader();
        await cluster.kill(leader);
        await eventually(async () => {
          const next = await fleet.streamLeader();
          expect(next).toBeString();
          expect(next).not.toBe(leader);
        }, 20_000, 100);
        console.log("new leader", performance.now());
        await cluster.restart(leader);
      },
    },
    { perSecond: 100, warmUpMs: 1_000, coolDownMs: 500 },
  );
  console.log(row);
  expect(violations(row)).toEqual([]);
  expect(row.accepted).toBeGreaterThan(100);
}, 150_000);
