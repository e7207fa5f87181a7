// Three nats-servers with three copies of the stream and of the leases: the loss of the one that leads loses nothing.

import { expect, test } from "bun:test";
import { eventually } from "../support/services.ts";
import { NatsCluster } from "./nats-cluster.ts";
import { runFault } from "./run-fault.ts";
import { violations } from "./verdict.ts";

test("the stream's leader is killed under load, and comes back: nothing lost, nothing twice at once", async () => {
  const row = await runFault(
    {
      name: "nats-leader-killed",
      about: "",
      workers: 2,
      cluster: () => NatsCluster.start(),
      async strike(fleet) {
        const leader = await fleet.streamLeader();
        await fleet.cluster?.kill(leader);
        await eventually(
          async () => {
            const next = await fleet.streamLeader();
            expect(next).toBeString();
            expect(next).not.toBe(leader);
          },
          20_000,
          100,
        );
        await fleet.cluster?.restart(leader);
      },
    },
    { perSecond: 100, warmUpMs: 1_000, coolDownMs: 500 },
  );
  expect(violations(row)).toEqual([]);
  expect(row.accepted).toBeGreaterThan(100);
}, 150_000);
