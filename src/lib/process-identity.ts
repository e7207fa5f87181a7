// Which process this is, so surely that another one on the same machine can tell whether it still runs: a pid is reused,
// but not together with its start time, within one boot and one pid namespace. Only where there is /proc.

import { readFileSync, readlinkSync } from "node:fs";
import { statOf } from "./process-stat.ts";

export type ProcessIdentity = {
  bootId: string;
  pidNamespace: string;
  pid: number;
  /** Clock ticks since boot. */
  startTicks: string;
};

/** This process'; undefined where the system does not tell. */
export function ownIdentity(): ProcessIdentity | undefined {
  try {
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const pidNamespace = readlinkSync("/proc/self/ns/pid");
    const stat = statOf(process.pid);
    return stat === undefined ? undefined : { bootId, pidNamespace, pid: process.pid, startTicks: stat.startTicks };
  } catch {
    return undefined;
  }
}

/** True only if that very process has surely ended: it ran on this machine, as seen by `self`, and does not any more. */
export function hasSurelyEnded(other: ProcessIdentity | undefined, self: ProcessIdentity | undefined): boolean {
  if (other === undefined || self === undefined) return false;
  if (other.bootId !== self.bootId || other.pidNamespace !== self.pidNamespace) return false;
  // Whoever asks is there. It asks of itself twice a second, once for each of its leases.
  if (other.pid === self.pid && other.startTicks === self.startTicks) return false;
  const stat = statOf(other.pid);
  if (stat === undefined) return !existsProcess(other.pid);
  return stat.state === "Z" || stat.state === "X" || stat.startTicks !== other.startTicks;
}

/** A process whose /proc cannot be read (another user's under hidepid, no descriptor left) may well be there. */
function existsProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== "ESRCH";
  }
}
