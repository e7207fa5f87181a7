// The shortest of the fault table: a worker is killed, and a moment later the whole store of NATS is lost.
// `bun run test:faults` has the others, one by one.

import { expect, test } from "bun:test";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";
import { LEASE_TTL_MS } from "./fleet.ts";
import { runFault } from "./run-fault.ts";
import { violations } from "./verdict.ts";

test("a killed worker is taken over from at once, and the loss of NATS' store loses nothing", async () => {
  let takeOverMs = Number.POSITIVE_INFINITY;
  const row = await runFault(
    {
      name: "worker-killed-and-store-deleted",
      about: "",
      workers: 3,
      victim: (fleet) => fleet.worker(0),
      async strike(fleet) {
        const killedAt = systemClock.monotonic();
        fleet.worker(0).signal("SIGKILL");
        await eventually(async () => expect(new Set((await fleet.owners()).values()).size).toBe(2));
        await fleet.balanced(2);
        takeOverMs = systemClock.monotonic() - killedAt;
        await sleep(systemClock, 500);
        await fleet.nats.wipe();
      },
    },
    { perSecond: 120, warmUpMs: 1_000, coolDownMs: 500 },
  );
  expect(violations(row)).toEqual([]);
  expect(row.accepted).toBeGreaterThan(100);
  expect(row.duplicates).toBeLessThan(20);
  // Nobody waited for its lease to end.
  expect(takeOverMs).toBeLessThan(LEASE_TTL_MS / 2);
});
