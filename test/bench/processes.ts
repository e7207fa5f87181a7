// What the system says of a process and of everything below it. Only where there is /proc.

import { readdirSync, readFileSync } from "node:fs";
import { statOf } from "../../src/lib/process-stat.ts";

const TICKS_PER_SECOND = 100;

/** User and system time of a process and its descendants, ended children included. */
export function cpuSecondsOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = statOf(Number(entry));
    if (stat === undefined) continue;
    parents.set(Number(entry), stat.parentPid);
    ticks.set(Number(entry), stat.cpuTicks + (Number(entry) === pid ? stat.childrenTicks : 0));
  }
  const isBelow = (candidate: number): boolean => {
    for (let at: number | undefined = candidate; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === pid) return true;
    }
    return false;
  };
  let sum = 0;
  for (const [candidate, used] of ticks) if (isBelow(candidate)) sum += used;
  return sum / TICKS_PER_SECOND;
}

/** Resident memory of one process. */
export function memoryBytesOf(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1_024;
}
