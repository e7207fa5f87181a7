// (a) How fast a full stream is emptied: every delivery signed, guarded, POSTed, recorded and acked after its record.
// The yardstick is a bare loop of fetch POSTs of the same size to the same receiver, in the same run.

import { createFoundation } from "../../src/foundation.ts";
import { readConfig } from "../../src/config.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { sleep, systemClock as clock } from "../../src/lib/clock.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { acceptBacklog, createAccounts } from "./backlog.ts";
import type { Rig, Role } from "./rig.ts";

/** Accounts with so many webhooks each, and so many events for each webhook in the stream at the start of a round. */
export type DrainOptions = {
  accounts: number;
  webhooks: number;
  events: number;
  /** Rounds that do not count: the runtime compiles what is used much for as long as that. */
  warmUpRounds: number;
  rounds: number;
  workers: number;
  logLevel: string;
};

export async function drain(rig: Rig, options: DrainOptions): Promise<Record<string, unknown>> {
  const port = await anyFreePort();
  const receiver = await rig.spawn(
    "receiver",
    ["test/bench/receiver.ts"],
    rig.environment({ RECEIVER_PORT: String(port) }),
  );
  const url = `http://127.0.0.1:${port}/`;
  const foundation = createFoundation(readConfig(rig.environment(), "api"), "api", {});
  const { database, link, keeper, outgoing } = foundation;
  await link.start();
  await keeper.start();
  while (keeper.ensured === undefined) await sleep(clock, 20);
  const announcer = new Announcer({ outgoing, clock, observe: () => {}, onAccepted: () => {}, restMs: () => 0 });
  const accounts = await createAccounts(database, options.accounts, options.webhooks, (number) => `${url}${number}`);
  // Warm, as the workers are when they count.
  await bareLoop(url, 30_000, 256);
  // As many requests in flight as a worker may have; and as many as fetch keeps connections for, which costs half as much.
  const bare = await bareLoop(url, 30_000, 256);
  const bareAtBest = await bareLoop(url, 30_000, 64);
  const workers: Role[] = [];
  for (let index = 0; index < options.workers; index += 1) {
    workers.push(await rig.worker(`worker-${index}`, { LOG_LEVEL: options.logLevel }));
  }
  const signal = (name: NodeJS.Signals): void => workers.forEach(({ pid }) => process.kill(pid, name));
  let drained = 0;
  let milliseconds = 0;
  let cpu: Record<string, number> = {};
  // The workers are frozen while the stream is filled.
  for (let round = 1; round <= options.warmUpRounds + options.rounds; round += 1) {
    signal("SIGSTOP");
    const deliveries = await acceptBacklog(database, accounts, options.events, announcer);
    await outgoing.stop();
    const before = await counted(url);
    const cpuBefore = rig.cpu();
    signal("SIGCONT");
    const startedAt = clock.monotonic();
    const isDrained = async (): Promise<boolean> => {
      if ((await counted(url)).count - before.count < deliveries) return false;
      // By its partial index, and only once everything has arrived: looking costs as much as delivering.
      const [pending] = await database.sql`SELECT 1 FROM deliveries
        WHERE status = 'pending' AND stream_seq IS NOT NULL LIMIT 1`;
      return pending === undefined;
    };
    while (!(await isDrained())) {
      await sleep(clock, 20);
      if (clock.monotonic() - startedAt > 120_000) throw new Error("the stream was not drained in two minutes");
    }
    const tookMs = clock.monotonic() - startedAt;
    const requests = (await counted(url)).count - before.count;
    if (requests !== deliveries) throw new Error(`${requests} requests for ${deliveries} deliveries`);
    if (round <= options.warmUpRounds) continue;
    drained += deliveries;
    milliseconds += tookMs;
    for (const [name, used] of Object.entries(rig.cpu())) {
      cpu = { ...cpu, [name]: (cpu[name] ?? 0) + used - (cpuBefore[name] ?? 0) };
    }
  }
  for (const worker of workers) await worker.stop();
  await receiver.stop();
  await keeper.stop();
  await link.stop();
  await database.close();
  const perDelivery = Object.fromEntries(
    Object.entries(cpu).map(([name, seconds]) => [name, Math.round((seconds / drained) * 1e7) / 10]),
  );
  const perSecond = Math.round(drained / (milliseconds / 1_000));
  return {
    deliveries: drained,
    perSecond,
    bareLoop: bare,
    shareOfBareLoop: Math.round((perSecond / bare.perSecond) * 100) / 100,
    bareLoopWith64InFlight: bareAtBest,
    microsecondsOfCpuPerDelivery: perDelivery,
  };
}

type Counted = { count: number };

async function counted(url: string): Promise<Counted> {
  return (await (await fetch(url)).json()) as Counted;
}

/** `inFlight` requests under way at any time, nothing else. */
async function bareLoop(url: string, requests: number, inFlight: number) {
  const body = `{"type":"order.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"order":1,"note":"${"x".repeat(200)}"}}`;
  let left = requests;
  const startedAt = clock.monotonic();
  const cpuBefore = process.cpuUsage();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left > 0) {
        left -= 1;
        const response = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
        await response.arrayBuffer();
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: Math.round(requests / ((clock.monotonic() - startedAt) / 1_000)),
    microsecondsOfCpuEach: Math.round(((user + system) / requests) * 10) / 10,
  };
}
