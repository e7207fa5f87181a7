// One row of the table: a fleet under load, a fault, and the verdict.

import { join } from "node:path";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { type Fault, partitionsOf } from "./faults.ts";
import { Fleet } from "./fleet.ts";
import { Load } from "./load.ts";
import { MemoryWatch } from "./memory.ts";
import { RecordingReceiver } from "./receiver.ts";
import { StandstillWatch } from "./standstill.ts";
import { duplicatesAmong, judge, settled, undelivered, type Verdict } from "./verdict.ts";

/** Where the evidence is, for whoever looks into a violation. */
export type Row = Verdict & { answers: string; memory: string; logs: string };

export type RunOptions = { perSecond: number; warmUpMs: number; coolDownMs: number };

export const USUAL: RunOptions = { perSecond: 200, warmUpMs: 3_000, coolDownMs: 4_000 };

export async function runFault(fault: Fault, { perSecond, warmUpMs, coolDownMs }: RunOptions = USUAL): Promise<Row> {
  const receiver = await RecordingReceiver.start();
  let fleet: Fleet | undefined;
  try {
    fleet = await Fleet.start({ workers: fault.workers, cluster: await fault.cluster?.() });
    // Every third endpoint is busy nearly all the time, so that a second request at once would be seen.
    const latencyMs = (index: number) => (index % 3 === 0 ? 150 : 10);
    const load = new Load({ apiUrl: fleet.url, receiver, accounts: 4, webhooks: 9, latencyMs, failEvery: 40 });
    await load.prepare();
    const memory = new MemoryWatch(fleet);
    const standstill = new StandstillWatch();
    load.start(perSecond);
    await sleep(systemClock, warmUpMs);
    const concerned = await partitionsOf(fault, fleet);
    const targets = load.targets.filter(({ partition }) => concerned?.has(partition) ?? true);
    const at = systemClock.now();
    await fault.strike(fleet);
    const healedAt = systemClock.now();
    await sleep(systemClock, coolDownMs);
    await load.stop();
    await settled(fleet, load, receiver);
    const verdict = await judge(fleet, load, receiver, { at, healedAt, targets, standstillMs: standstill.stop() });
    await keepEvidence(fleet, load, receiver, { at, healedAt });
    const answers = [...load.answers]
      .map(([status, { count, slowestMs }]) => `${status} ${count}x in ${slowestMs} ms at most`)
      .join(", ");
    return { ...verdict, answers, memory: memory.stop(), logs: fleet.folder };
  } finally {
    await fleet?.stop();
    await receiver.stop();
  }
}

/** Beside the processes' logs. */
async function keepEvidence(fleet: Fleet, load: Load, receiver: RecordingReceiver, fault: object): Promise<void> {
  const { requests } = await receiver.requests();
  const evidence = {
    fault,
    lost: undelivered(load.accepted, requests),
    duplicates: duplicatesAmong(requests),
    overlaps: requests.filter(({ overlapMs }) => overlapMs > 0),
    unfinished: await fleet.sql`SELECT * FROM deliveries WHERE status <> 'delivered' LIMIT 100`,
  };
  await Bun.write(join(fleet.folder, "evidence.json"), JSON.stringify(evidence, undefined, 2));
}
