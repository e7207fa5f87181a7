// CPU and memory of the processes of a run, from /proc where there is one.

import { readFileSync } from "node:fs";
import { statOf } from "../lib/process-stat.ts";

/** Clock ticks a second, as Linux tells them to user space on every architecture. */
const TICKS_PER_S = 100;

export type Usage = { cpuS: number; memoryBytes: number };

export type WatchedPid = {
  name: string;
  pid: number;
  /** Its children count for themselves; else it stands for all below it (a Postgres is many). */
  isAlone?: boolean;
};

/** Undefined when it is gone, or the system does not tell. */
function usageOf({ pid, isAlone = false }: Omit<WatchedPid, "name">): Usage | undefined {
  const own = readProcess(pid, isAlone);
  if (own === undefined) return undefined;
  const below = isAlone ? [] : descendants(pid);
  const all = [own, ...below.flatMap((child) => readProcess(child, false) ?? [])];
  return {
    cpuS: all.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) / TICKS_PER_S,
    // What they share is counted once.
    memoryBytes:
      1_024 * (all.reduce((sum, { ownKb }) => sum + ownKb, 0) + Math.max(...all.map(({ sharedKb }) => sharedKb))),
  };
}

export type WatchedProcess = { name: string; cpuS: number; memoryBytesMax: number };

/** Adds up over a run, across restarts too: another pid under the same name counts from nothing. */
export class ProcessWatch {
  readonly #watched = new Map<string, { pid: number; last: Usage; cpuS: number; memoryBytesMax: number }>();

  look(processes: readonly WatchedPid[]): void {
    for (const { name, pid, isAlone = false } of processes) {
      const usage = usageOf({ pid, isAlone });
      if (usage === undefined) continue;
      const before = this.#watched.get(name);
      const since = before === undefined ? usage.cpuS : before.pid === pid ? before.last.cpuS : 0;
      this.#watched.set(name, {
        pid,
        last: usage,
        cpuS: (before?.cpuS ?? 0) + Math.max(0, usage.cpuS - since),
        memoryBytesMax: Math.max(before?.memoryBytesMax ?? 0, usage.memoryBytes),
      });
    }
  }

  /** CPU since the first look. */
  get processes(): WatchedProcess[] {
    return [...this.#watched].map(([name, { cpuS, memoryBytesMax }]) => ({ name, cpuS, memoryBytesMax }));
  }
}

function readProcess(pid: number, isAlone: boolean): { cpuTicks: number; ownKb: number; sharedKb: number } | undefined {
  const stat = statOf(pid);
  if (stat === undefined) return undefined;
  const cpuTicks = stat.cpuTicks + (isAlone ? 0 : stat.childrenTicks);
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return { cpuTicks, ownKb: kb("RssAnon"), sharedKb: kb("RssFile") + kb("RssShmem") };
  } catch {
    return undefined;
  }
}

function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
    return children.flatMap((child) => [child, ...descendants(child)]);
  } catch {
    return [];
  }
}
