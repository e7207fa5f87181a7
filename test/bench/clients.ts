// (g) HTTP clients under Bun, against the same receiver, with as many connections as Bun's fetch keeps, and with more: why
// the sender speaks HTTP itself, over node:net.

import http from "node:http";
import { anyFreePort } from "../../src/dev/ports.ts";
import { systemClock as clock } from "../../src/lib/clock.ts";
import { checkWebhookUrl } from "../../src/domain/webhook.ts";
import { Deadlines } from "../../src/sender/deadline.ts";
import { createPost } from "../../src/sender/post.ts";
import type { Rig } from "./rig.ts";

const REQUESTS = 30_000;
const WARM_UP_REQUESTS = 15_000;
const IN_FLIGHT = [64, 256];
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
  const dispatcher = new undici.Agent({ connections: Math.max(...IN_FLIGHT), pipelining: 1 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: Math.max(...IN_FLIGHT) });
  const post = createPost(clock);
  const target = checkWebhookUrl(url);
  if (!target.ok) throw new Error(target.fault);
  const deadlines = new Deadlines(clock);
  const message = `POST / HTTP/1.1\r\nhost: ${target.value.authority}\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`;
  const contenders: Record<string, Client> = {
    "Fairpost's": async () => {
      const deadline = deadlines.after(15_000);
      const posted = await post(target.value, ["127.0.0.1"], message, deadline, () => true);
      deadline.end();
      if (posted.kind !== "answered") throw new Error("no answer");
    },
    fetch: async (target) => {
      // An attempt must be able to end it.
      const { signal } = new AbortController();
      const answer = await fetch(target, { method: "POST", body: BODY, signal });
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
  const results: Record<string, Record<string, unknown>> = {};
  for (const inFlight of IN_FLIGHT) {
    const seen: Record<string, unknown> = {};
    for (const [name, client] of Object.entries(contenders)) {
      await run(client, url, WARM_UP_REQUESTS, inFlight);
      const cpuBefore = process.cpuUsage();
      const seconds = await run(client, url, REQUESTS, inFlight);
      const { user, system } = process.cpuUsage(cpuBefore);
      seen[name] = {
        perSecond: Math.round(REQUESTS / seconds),
        microsecondsOfCpuEach: Math.round(((user + system) / REQUESTS) * 10) / 10,
      };
    }
    results[`${inFlight} in flight`] = seen;
  }
  await receiver.stop();
  agent.destroy();
  return results;
}

async function run(client: Client, url: string, requests: number, inFlight: number): Promise<number> {
  let left = requests;
  const startedAt = clock.monotonic();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (left > 0) {
        left -= 1;
        await client(url);
      }
    }),
  );
  return (clock.monotonic() - startedAt) / 1_000;
}
