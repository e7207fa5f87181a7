// Free TCP ports.

import { createServer } from "node:net";
import { systemRandom } from "../lib/random.ts";

/** Whether nobody listens on `host:port`. */
export function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
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
