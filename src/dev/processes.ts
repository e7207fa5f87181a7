// Processes by identity rather than by number: a pid is reused, a pid with its start time is not (where there is /proc).

import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { sleep, systemClock } from "../lib/clock.ts";
import { statOf } from "../lib/process-stat.ts";

export type ProcessIdentity = {
  pid: number;
  /** Start time in clock ticks since boot, from /proc; undefined where there is no /proc. */
  startTicks?: string | undefined;
};

const PROC = existsSync("/proc/self/stat");

/** How often an ending process is looked at, milliseconds. */
const POLL_MS = 20;

export function identify(pid: number): ProcessIdentity {
  return { pid, startTicks: statOf(pid)?.startTicks };
}

/** Whether that very process still runs. One that has ended and waits for its parent (a zombie) does not. */
export function isRunning(process_: ProcessIdentity): boolean {
  if (PROC) {
    const stat = statOf(process_.pid);
    if (stat === undefined || stat.state === "Z" || stat.state === "X") return false;
    return process_.startTicks === undefined || process_.startTicks === stat.startTicks;
  }
  return sendSignal(process_.pid, 0);
}

/** The command line with its arguments, as far as the system tells it. */
export function commandOf(pid: number): string[] {
  if (PROC) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    } catch {
      return [];
    }
  }
  return psOf(pid, "command").split(/\s+/).filter(Boolean);
}

export function parentOf(pid: number): number | undefined {
  if (PROC) return statOf(pid)?.parentPid;
  const parent = Number(psOf(pid, "ppid"));
  return Number.isInteger(parent) && parent > 0 ? parent : undefined;
}

/**
 * Running processes of a program called one of `names` whose working directory is `folder` or below it: how servers are
 * found whose pid nobody could write down. Empty where there is no /proc.
 */
export function processesBelow(folder: string, names: readonly string[]): ProcessIdentity[] {
  if (!PROC || !existsSync(folder)) return [];
  const real = realpathSync(folder);
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? statOf(Number(entry)) : undefined;
    if (stat === undefined || !names.includes(stat.name)) continue;
    try {
      const cwd = readlinkSync(`/proc/${entry}/cwd`);
      if (cwd === real || cwd.startsWith(`${real}/`)) {
        found.push({ pid: Number(entry), startTicks: stat.startTicks });
      }
    } catch {
      // It has ended meanwhile, or belongs to somebody else.
    }
  }
  return found;
}

/**
 * Whether we were started to survive our terminal, as by nohup. `bun run` handles SIGHUP itself and starts its scripts
 * with the default, so there nohup's other trace counts: it opens /dev/null for writing alone as standard input.
 */
export function isNohup(): boolean {
  try {
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    // Bit 0 is signal 1, SIGHUP (proc(5)).
    if ((Number.parseInt(ignored.slice(-1), 16) & 1) === 1) return true;
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync("/proc/self/fdinfo/0", "utf8"))?.[1] ?? "";
    // The last two bits are the access mode; 1 is O_WRONLY.
    return readlinkSync("/proc/self/fd/0") === "/dev/null" && (Number.parseInt(flags, 8) & 3) === 1;
  } catch {
    return false;
  }
}

/** False if there is no such process, or it is not ours to signal. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

export async function waitUntilEnded(process_: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = systemClock.monotonic() + timeoutMs;
  while (isRunning(process_)) {
    if (systemClock.monotonic() >= deadline) return false;
    await sleep(systemClock, POLL_MS);
  }
  return true;
}

/** Asks with `signal`, insists with SIGKILL after `patienceMs`. Resolves when the process is gone. */
export async function endProcess(
  process_: ProcessIdentity,
  signal: NodeJS.Signals = "SIGTERM",
  patienceMs = 10_000,
): Promise<void> {
  if (!isRunning(process_)) return;
  sendSignal(process_.pid, signal);
  if (await waitUntilEnded(process_, patienceMs)) return;
  sendSignal(process_.pid, "SIGKILL");
  if (!(await waitUntilEnded(process_, 5_000))) throw new Error(`process ${process_.pid} does not end`);
}

function psOf(pid: number, column: string): string {
  return Bun.spawnSync(["ps", "-o", `${column}=`, "-p", String(pid)])
    .stdout.toString()
    .trim();
}
