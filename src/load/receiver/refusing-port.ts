// A port of loopback at which connections are refused.

import { createServer } from "node:net";
import type { Random } from "../../lib/random.ts";

/** Below the range from which systems give connections their own ports: nobody gets it by accident. */
const FIRST = 12_000;
const COUNT = 18_000;

export async function refusingPort(random: Random): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(random() * COUNT);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}
