// Bun's fetch keeps at most 256 requests in flight unless the environment says otherwise when the process starts; at
// that limit, a few hundred receivers that hang stop every healthy one.

import type { Environment } from "../config.ts";

/** The most that Bun accepts. */
const REQUESTS_IN_FLIGHT_MAX = 65_535;

const NAME = "BUN_CONFIG_MAX_HTTP_REQUESTS";

/** Replaces this process by itself with the limit raised, unless somebody has set it. Same pid, same arguments. */
export function raiseRequestLimit(env: Environment): void {
  if (env[NAME] !== undefined) return;
  const [program = process.execPath, ...args] = process.argv;
  process.execve?.(process.execPath, [program, ...process.execArgv, ...args], { ...withRequestLimit(env) });
}

export function withRequestLimit(env: Environment): Record<string, string> {
  const defined = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return { [NAME]: String(REQUESTS_IN_FLIGHT_MAX), ...Object.fromEntries(defined) };
}
