// What became of everything that was accepted: the ledger held against the receiver's records and the table's rows.

import { sleep, systemClock } from "../../src/lib/clock.ts";
import type { Fleet } from "./fleet.ts";
import type { Ledger, Load, Target } from "./load.ts";
import type { ReceivedRequest, RecordingReceiver } from "./receiver.ts";

export type Verdict = {
  accepted: number;
  delivered: number;
  lost: number;
  /** Rows that are still pending, or were given up. */
  stuck: number;
  /** Requests for what had been answered 200 already, or was sent and not given an answer for. */
  duplicates: number;
  /** Duplicates of what was answered long before the fault, or well after it: nothing excuses them. */
  unexplained: number;
  overlaps: number;
  unsigned: number;
  /** Processes that ended although nobody told them to. */
  crashed: number;
  /** Until the last of the endpoints concerned had a request again, milliseconds after the fault. */
  takeOverMs: number | undefined;
};

/** A result is recorded and acked within this, unless something is broken or the machine stands still. */
const UNFLUSHED_MS = 1_500;
/** Ack wait, lease and reconciler, one after the other. */
const PATIENCE_MS = 90_000;

/** Waits until everything accepted has been delivered, or for as long as that may take at the worst. */
export async function settled(fleet: Fleet, load: Load, receiver: RecordingReceiver, patienceMs = PATIENCE_MS) {
  const deadline = systemClock.monotonic() + patienceMs;
  for (;;) {
    const { requests, running } = await receiver.requests();
    const isDelivered = undelivered(load.accepted, requests).length === 0 && running === 0;
    if (isDelivered && (await unfinished(fleet)) === 0) return;
    if (systemClock.monotonic() > deadline) return;
    await sleep(systemClock, 250);
  }
}

export async function judge(
  fleet: Fleet,
  load: Load,
  receiver: RecordingReceiver,
  fault: { at: number; healedAt: number; targets: readonly Target[]; standstillMs: number },
): Promise<Verdict> {
  const { requests } = await receiver.requests();
  const lost = undelivered(load.accepted, requests).length;
  const duplicates = duplicatesAmong(requests);
  const unflushedMs = UNFLUSHED_MS + fault.standstillMs;
  return {
    accepted: load.accepted.size,
    delivered: load.accepted.size - lost,
    lost,
    stuck: await unfinished(fleet),
    duplicates: duplicates.length,
    unexplained: duplicates.filter(
      ({ first }) => first.endedAt < fault.at - unflushedMs || first.startedAt > fault.healedAt + unflushedMs,
    ).length,
    overlaps: requests.filter(({ overlapMs }) => overlapMs > 0).length,
    unsigned: requests.filter(({ isSigned }) => !isSigned).length,
    crashed: fleet.crashed().length,
    takeOverMs: takeOverOf(requests, fault),
  };
}

/** What makes a verdict a failure; empty: nothing. */
export function violations(verdict: Verdict): string[] {
  const { lost, stuck, unexplained, overlaps, unsigned, crashed, accepted } = verdict;
  return [
    ...(accepted === 0 ? ["nothing was accepted"] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(stuck > 0 ? [`${stuck} stuck`] : []),
    ...(unexplained > 0 ? [`${unexplained} duplicates without an excuse`] : []),
    ...(overlaps > 0 ? [`${overlaps} requests at once to one endpoint`] : []),
    ...(unsigned > 0 ? [`${unsigned} wrong signatures`] : []),
    ...(crashed > 0 ? [`${crashed} processes ended by themselves`] : []),
  ];
}

function keysOf({ path, eventId, subscriberId }: ReceivedRequest): string[] {
  return [`${path} ${eventId}`, ...(subscriberId === undefined ? [] : [`${path} ${subscriberId}`])];
}

export function undelivered(ledger: Ledger, requests: readonly ReceivedRequest[]): string[] {
  const delivered = new Set(requests.filter(({ status }) => status === 200).flatMap(keysOf));
  return [...ledger].filter((key) => !delivered.has(key));
}

/** Pairs of requests for one delivery, of which the first was not answered 500. */
export function duplicatesAmong(requests: readonly ReceivedRequest[]) {
  const byDelivery = Map.groupBy(requests, ({ path, eventId }) => `${path} ${eventId}`);
  return [...byDelivery.values()].flatMap((same) => {
    const inOrder = same.toSorted((a, b) => a.startedAt - b.startedAt);
    return inOrder.slice(1).flatMap((second, index) => {
      const first = inOrder[index] as ReceivedRequest;
      return first.status === 500 ? [] : [{ first, second }];
    });
  });
}

async function unfinished({ sql }: Fleet): Promise<number> {
  try {
    const [row] = await sql`SELECT count(*)::int AS count FROM deliveries WHERE status <> 'delivered'`;
    return Number(row?.["count"]);
  } catch {
    return Number.NaN;
  }
}

function takeOverOf(
  requests: readonly ReceivedRequest[],
  { at, targets }: { at: number; targets: readonly Target[] },
): number | undefined {
  const firstAfter = targets.map(({ path }) =>
    Math.min(...requests.filter((request) => request.path === path && request.startedAt > at).map((r) => r.startedAt)),
  );
  const last = Math.max(...firstAfter);
  return Number.isFinite(last) ? last - at : undefined;
}
