// Notices that whoever launched us is gone. Under npx a SIGTERM ends npx alone, and `bun run` can be killed outright;
// in both cases nobody is left to tell us to stop. A shell that ends after `nohup bun run start &` is no such case: only
// `bun run` itself, and the npm or npx above it, are watched, and they live on.

import { basename } from "node:path";
import { commandOf, identify, isRunning, parentOf, type ProcessIdentity } from "./processes.ts";

const WATCH_MS = 500;

/** Ancestors looked through for npm: npx, sh, bun run, and a little more. */
const ANCESTORS_MAX = 8;

/** Calls `onGone` once when one of them has ended. */
export function watchLaunchers(launchers: readonly ProcessIdentity[], onGone: () => void): void {
  if (launchers.length === 0) return;
  const timer = setInterval(() => {
    if (launchers.every(isRunning)) return;
    clearInterval(timer);
    onGone();
  }, WATCH_MS);
  timer.unref();
}

/** `bun run`, and npm or npx above it with what is between; empty if none of them started us. */
export function findLaunchers(): ProcessIdentity[] {
  // Set by `bun run` and npm for the scripts that they run, but inherited by those scripts' children as well: hence the
  // look at the ancestors themselves.
  const script = process.env["npm_lifecycle_event"];
  if (script === undefined) return [];
  const chain: number[] = [];
  let found = 0;
  for (let pid = process.ppid; pid > 1 && chain.length < ANCESTORS_MAX; pid = parentOf(pid) ?? 0) {
    chain.push(pid);
    const command = commandOf(pid);
    if (chain.length === 1 && isScriptRunner(command, script)) found = 1;
    if (isNpm(command)) {
      found = chain.length;
      break;
    }
  }
  return chain.slice(0, found).map(identify);
}

/** `bun run start`, or `bun start` for short. */
function isScriptRunner([program = "", word]: string[], script: string): boolean {
  return basename(program).startsWith("bun") && (word === "run" || word === script);
}

/** npm writes its own command over the process title: `npm exec bun run start`. */
function isNpm([program = "", script = ""]: string[]): boolean {
  const name = basename(program.split(" ")[0] ?? "");
  return /^np[mx]$/.test(name) || (name.startsWith("node") && /(^|\/)np[mx](-cli\.js)?$/.test(script));
}
