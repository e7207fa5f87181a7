// (g) HTTP clients under Bun, against the same receiver: why the sender is Bun's own fetch.

import http from "node:http";
import { anyFreePort } from "../../src/dev/ports.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import type { Rig } from "./rig.ts";

const REQUESTS = 30_000;
const CONNECTIONS = 64;
const BODY = `{"type":"order.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"note":"${"x".repeat(200)}"}}`;

type Client = (url: string) => Promise<void>;

export async function clients(rig: Rig): Promise<Record<string, unknown>> {
  const port = await anyFreePort();
  const receiver = await rig.spawn(
    "receiver",
    ["test/bench/receiver.ts"],
    rig.environment({ RECEIVER_PORT: String(port) }),
  );
  const url = `http://127.0.0.1:${port}/`;
  // The real undici: a plain `import "undici"` is replaced by a stub under Bun.
  const undici = (await import("../../node_modules/undici/index.js")) as {
    request: Function;
    Agent: new (o: object) => object;
  };
  const dispatcher = new undici.Agent({ connections: CONNECTIONS, pipelining: 1 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const contenders: Record<string, Client> = {
    fetch: async (target) => {
      const answer = await fetch(target, { method: "POST", body: BODY });
      await answer.arrayBuffer();
    },
    "undici (the real one)": async (target) => {
      const answer = await undici.request(target, { method: "POST", body: BODY, dispatcher });
      await answer.body.arrayBuffer();
    },
    "node:http": (target) =>
      new Promise((resolve, reject) => {
        const request = http.request(target, { method: "POST", agent }, (answer) => {
          answer.resume();
          answer.on("end", resolve);
        });
        request.on("error", reject);
        request.end(BODY);
      }),
  };
  const results: Record<string, unknown> = {};
  for (const [name, client] of Object.entries(contenders)) {
    await run(client, url, 2_000);
    const cpuBefore = process.cpuUsage();
    const seconds = await run(client, url, REQUESTS);
    const { user, system } = process.cpuUsage(cpuBefore);
    results[name] = {
      perSecond: Math.round(REQUESTS / seconds),
      microsecondsOfCpuEach: Math.round(((user + system) / REQUESTS) * 10) / 10,
    };
  }
  await receiver.stop();
  agent.destroy();
  return results;
}

async function run(client: Client, url: string, requests: number): Promise<number> {
  let left = requests;
  const startedAt = clock.monotonic();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (left > 0) {
        left -= 1;
        await client(url);
      }
    }),
  );
  return (clock.monotonic() - startedAt) / 1_000;
}
