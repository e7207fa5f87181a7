// (a) How fast a full stream is emptied: every delivery signed, guarded, POSTed, recorded and acked after its record.
// The yardstick is a bare loop of fetch POSTs of the same size to the same receiver, in the same run.

import { createFoundation } from "../../src/foundation.ts";
import { readConfig } from "../../src/config.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { sleep, systemClock as clock } from "../../src/lib/clock.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { acceptBacklog, createAccounts } from "./backlog.ts";
import type { Rig } from "./rig.ts";

export type DrainOptions = { accounts: number; webhooks: number; events: number; workers: number; logLevel: string };

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
  const announcer = new Announcer({ outgoing, clock, observe: () => {}, onAccepted: () => {} });
  const accounts = await createAccounts(database, options.accounts, options.webhooks, (number) => `${url}${number}`);
  const bare = await bareLoop(url, 30_000);
  const before = await counted(url);
  const deliveries = await acceptBacklog(database, accounts, options.events, announcer);
  await outgoing.stop();
  await database.sql`CHECKPOINT`;
  const workers = [];
  const startedAt = clock.monotonic();
  const cpuBefore = rig.cpu();
  for (let index = 0; index < options.workers; index += 1) {
    workers.push(await rig.worker(`worker-${index}`, { LOG_LEVEL: options.logLevel }));
  }
  let pending = deliveries;
  while (pending > 0) {
    await sleep(clock, 250);
    const [row] = await database.sql`SELECT 1 AS one FROM deliveries WHERE status = 'pending' LIMIT 1`;
    if (row === undefined) pending = 0;
    if (clock.monotonic() - startedAt > 180_000) break;
  }
  const cpuAfter = rig.cpu();
  const { count, lastAt, firstAt } = await counted(url);
  for (const worker of workers) await worker.stop();
  const [left] = await database.sql`SELECT count(*) AS n FROM deliveries WHERE status = 'pending'`;
  await receiver.stop();
  await keeper.stop();
  await link.stop();
  await database.close();
  const seconds = (lastAt - Math.max(firstAt, before.lastAt)) / 1_000;
  const drained = count - before.count;
  const perDelivery = Object.fromEntries(
    Object.entries(cpuAfter).map(([name, used]) => [
      name,
      Math.round(((used - (cpuBefore[name] ?? 0)) / drained) * 1e7) / 10,
    ]),
  );
  return {
    deliveries,
    drained,
    pending: Number(left?.["n"]),
    seconds: Math.round((clock.monotonic() - startedAt) / 100) / 10,
    perSecond: Math.round(drained / Math.max(seconds, 0.001)),
    bareLoop: bare,
    microsecondsOfCpuPerDelivery: perDelivery,
  };
}

type Counted = { count: number; firstAt: number; lastAt: number };

async function counted(url: string): Promise<Counted> {
  return (await (await fetch(url)).json()) as Counted;
}

/** 256 requests under way at any time, nothing else. */
async function bareLoop(url: string, requests: number): Promise<{ perSecond: number; microsecondsOfCpuEach: number }> {
  const body = `{"type":"order.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"order":1,"note":"${"x".repeat(200)}"}}`;
  let left = requests;
  const startedAt = clock.monotonic();
  const cpuBefore = process.cpuUsage();
  await Promise.all(
    Array.from({ length: 256 }, async () => {
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
