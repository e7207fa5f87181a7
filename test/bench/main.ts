// `bun run bench`: every figure of README in one run, each beside its yardstick. Takes some minutes; wants a quiet machine.

import { cpus } from "node:os";
import { alone, besideBacklog, memory } from "./backlogs.ts";
import { clients } from "./clients.ts";
import { consumers } from "./consumers.ts";
import { drain } from "./drain.ts";
import { latency, throughput } from "./end-to-end.ts";
import { Rig } from "./rig.ts";

const USAGE = `Usage: bun run bench [name ...]

  drain       (a) deliveries/s from a full stream to acked and recorded by two workers, beside a bare loop of fetch POSTs
  end-to-end  (b) POST /subscribers at the highest sustained rate, one webhook per account
  accept      (c) the same without webhooks
  latency     (d) from the POST to the receiver's first byte at 500/s
  memory      (e) a worker with 10,000 endpoints
  backlog     (f) throughput of others beside a backlog of 1,000,000, and of 10,000
  alone       one account's backlog with fairness, and without it
  clients     (g) HTTP clients under Bun
  consumers   (h) NATS server CPU by number of partitions

Without a name all of them, one after the other, each on services of its own.
`;

const BENCHMARKS: Record<string, (rig: Rig) => Promise<unknown>> = {
  drain: (rig) => {
    const work = { accounts: 10, webhooks: 31, events: 64, warmUpRounds: 4, rounds: 8 };
    return drain(rig, { ...work, workers: 2, logLevel: "warn" });
  },
  "end-to-end": (rig) => throughput(rig, true, 15),
  accept: (rig) => throughput(rig, false, 10),
  latency: (rig) => latency(rig, 500, 20),
  memory: (rig) => memory(rig, 10_000),
  backlog: (rig) => onItsOwn((other) => besideBacklog(rig, other, [10_000, 1_000_000])),
  alone: (rig) => alone(rig),
  clients: (rig) => clients(rig),
  consumers: (rig) => consumers(rig),
};

const running = new Set<Rig>();

async function onItsOwn<Result>(run: (rig: Rig) => Promise<Result>): Promise<Result> {
  const rig = await Rig.start();
  running.add(rig);
  try {
    return await run(rig);
  } finally {
    running.delete(rig);
    await rig.stop();
  }
}

/** Cut short: its servers have sessions of their own, and would stay. */
function leave(): void {
  Promise.all([...running].map((rig) => rig.stop())).then(
    () => process.exit(130),
    () => process.exit(130),
  );
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, leave);

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  console.log(USAGE);
  process.exit(names.includes("--help") ? 0 : 1);
}
console.log(`${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}, Bun ${Bun.version}\n`);
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`${name}\n${JSON.stringify(await onItsOwn(run), null, 2)}\n`);
}
process.exit(0);
