// 200,000 deliveries wait for receivers that hang: memory must stay flat, and a healthy receiver must not notice.

import { sleep, systemClock } from "../../src/lib/clock.ts";
import { Fleet } from "./fleet.ts";
import { Load } from "./load.ts";
import { MemoryWatch } from "./memory.ts";
import { RecordingReceiver } from "./receiver.ts";

const WEBHOOKS = 500;
const EVENTS = 400;
/** Longer than an attempt may take. */
const HANG_MS = 5_000;
const WATCH_MS = 40_000;
const HEALTHY_EVERY_MS = 200;
/** Beyond what was in use before: messages held at most (64 MiB) and what comes with them. */
const GROWTH_MB_MAX = 200;

export type BacklogReport = { lines: string[]; wrong: string[] };

export async function runBacklog(): Promise<BacklogReport> {
  const receiver = await RecordingReceiver.start();
  let fleet: Fleet | undefined;
  try {
    fleet = await Fleet.start({ workers: 1, env: { LOG_LEVEL: "warn", RETRY_SCHEDULE: "60,600" } });
    const common = { apiUrl: fleet.url, receiver, failEvery: 0 };
    const hanging = new Load({
      ...common,
      accounts: 1,
      webhooks: WEBHOOKS,
      type: "load.all",
      latencyMs: () => HANG_MS,
    });
    const healthy = new Load({ ...common, accounts: 1, webhooks: 1, latencyMs: () => 5 });
    await Promise.all([hanging.prepare(), healthy.prepare()]);
    const memory = new MemoryWatch(fleet);
    const startedAt = systemClock.monotonic();
    const [target, well] = [hanging.targets[0], healthy.targets[0]];
    if (target === undefined || well === undefined) throw new Error("no webhooks");
    for (let event = 0; event < EVENTS; event += 1) await hanging.publish(target);
    const acceptedMs = systemClock.monotonic() - startedAt;
    const delays: number[] = [];
    while (systemClock.monotonic() - startedAt < acceptedMs + WATCH_MS) {
      await healthy.publish(well);
      delays.push(systemClock.now());
      await sleep(systemClock, HEALTHY_EVERY_MS);
    }
    await sleep(systemClock, 2_000);
    const arrivals = (await receiver.requests()).requests.filter(({ path }) => path === well.path);
    const waits = arrivals.map(({ startedAt: at }, index) => Math.max(0, at - (delays[index] ?? at)));
    const [row] = await fleet.sql`SELECT count(*)::int AS count FROM deliveries WHERE status = 'pending'`;
    const [api, worker] = [memory.most("api"), memory.most("worker")];
    const lines = [
      `${row?.["count"]} deliveries wait, accepted in ${(acceptedMs / 1_000).toFixed(1)} s; memory: ${memory.stop()}`,
      `a healthy receiver meanwhile: ${arrivals.length} of ${delays.length} delivered, the slowest after ${Math.max(...waits)} ms`,
    ];
    const wrong = [
      ...(Number(row?.["count"]) < WEBHOOKS * EVENTS * 0.9 ? ["fewer deliveries wait than were accepted"] : []),
      ...(arrivals.length < delays.length ? ["a healthy receiver waits"] : []),
      ...(api.mostMb - api.firstMb > GROWTH_MB_MAX ? ["the api's memory grew"] : []),
      ...(worker.mostMb - worker.firstMb > GROWTH_MB_MAX ? ["the worker's memory grew"] : []),
    ];
    return { lines, wrong };
  } finally {
    await fleet?.stop();
    await receiver.stop();
  }
}
