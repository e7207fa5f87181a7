// Free TCP ports.

import { createServer } from "node:net";
import { systemRandom } from "../lib/random.ts";

/** Somebody has it, or we may not. Anything else is the host's fault: no interface has it, or no such name is known. */
const TAKEN_CODES = ["EADDRINUSE", "EACCES", "EPERM"];

/** Whether nobody listens on `host:port`. Throws when `host` is no address of this machine. */
export function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: Error & { code?: string }) => {
      if (TAKEN_CODES.includes(error.code ?? "")) resolve(false);
      else reject(new Error(`${host} is no address of this machine`));
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The first free port from `port` on. */
export async function nextFreePort(port: number, host = "127.0.0.1"): Promise<number> {
  for (let candidate = port; candidate < port + 200 && candidate <= 65_535; candidate += 1) {
    if (await isPortFree(candidate, host)) return candidate;
  }
  throw new Error(`no port from ${port} on is free on ${host}`);
}

/**
 * Any free port outside the range from which the system gives connections their own: a client that keeps trying a port
 * in there, while its server is down, is at some time connected to itself and keeps the port taken.
 */
export async function anyFreePort(host = "127.0.0.1"): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(systemRandom() * 18_000);
    if (await isPortFree(port, host)) return port;
  }
}
