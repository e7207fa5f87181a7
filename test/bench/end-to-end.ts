// (b) POST /subscribers at the highest sustained rate, one webhook per account, to the receiver; (c) the same without any
// webhook; (d) the time from the POST's sending to the receiver's first byte at a given rate.

import { anyFreePort } from "../../src/dev/ports.ts";
import { sleep, systemClock as clock } from "../../src/lib/clock.ts";
import { percentile } from "./percentile.ts";
import type { Rig } from "./rig.ts";

const ACCOUNTS = 50;
const CONNECTIONS = 256;

type Caller = { url: string; token: string };

/** (b) and (c). */
export async function throughput(rig: Rig, withWebhooks: boolean, seconds: number): Promise<Record<string, unknown>> {
  const { api, callers, receiverUrl, stop } = await setUp(rig, withWebhooks, "receiver.ts");
  const countBefore = (await received(receiverUrl)).count;
  await post(callers, { until: clock.monotonic() + 2_000 });
  const cpuBefore = rig.cpu();
  const startedAt = clock.monotonic();
  const accepted = await post(callers, { until: startedAt + seconds * 1_000 });
  const acceptedPerSecond = Math.round(accepted.length / ((clock.monotonic() - startedAt) / 1_000));
  const atEnd = (await received(receiverUrl)).count;
  const cpu = rig.cpu();
  const each = (name: string) => Math.round((((cpu[name] ?? 0) - (cpuBefore[name] ?? 0)) / accepted.length) * 1e7) / 10;
  let drainedMs = 0;
  if (withWebhooks) {
    const before = clock.monotonic();
    let last = -1;
    for (;;) {
      const { count } = await received(receiverUrl);
      if (count === last) break;
      last = count;
      await sleep(clock, 1_500);
    }
    drainedMs = clock.monotonic() - before - 1_500;
  }
  const { count } = await received(receiverUrl);
  const result = {
    acceptedPerSecond,
    deliveredMeanwhile: atEnd - countBefore,
    deliveredInAll: count - countBefore,
    drainedAfterMs: Math.max(0, Math.round(drainedMs)),
    microsecondsOfCpuPerEvent: Object.fromEntries(Object.keys(cpu).map((name) => [name, each(name)])),
    apiMemoryMiB: Math.round(rig.memoryOf(api) / 1_048_576),
  };
  await stop();
  return result;
}

/** (d) */
export async function latency(rig: Rig, perSecond: number, seconds: number): Promise<Record<string, unknown>> {
  const { callers, receiverUrl, stop } = await setUp(rig, true, "timing-receiver.ts");
  await post(callers, { until: clock.monotonic() + 1_000, perSecond });
  const sent = await post(callers, { until: clock.monotonic() + seconds * 1_000, perSecond });
  await sleep(clock, 2_000);
  const { arrivals } = (await (await fetch(receiverUrl)).json()) as { arrivals: [string, number][] };
  const arrivedAt = new Map(arrivals);
  const took = sent.flatMap(({ id, sentAt }) => {
    const at = arrivedAt.get(id);
    return at === undefined ? [] : [at - sentAt];
  });
  await stop();
  return {
    perSecond: Math.round(sent.length / seconds),
    sent: sent.length,
    arrived: took.length,
    p50Ms: percentile(took, 0.5),
    p95Ms: percentile(took, 0.95),
    p99Ms: percentile(took, 0.99),
  };
}

async function setUp(rig: Rig, withWebhooks: boolean, receiverFile: string) {
  const port = await anyFreePort();
  const receiver = await rig.spawn(
    "receiver",
    [`test/bench/${receiverFile}`],
    rig.environment({ RECEIVER_PORT: String(port) }),
  );
  const receiverUrl = `http://127.0.0.1:${port}/`;
  const api = await rig.api();
  const worker = await rig.worker();
  const callers: Caller[] = [];
  for (let index = 0; index < ACCOUNTS; index += 1) callers.push(await signUp(api.url));
  if (withWebhooks) {
    for (const caller of callers)
      await call(caller, "/webhooks", { url: `${receiverUrl}${caller.token.slice(-8)}`, events: ["*"] });
  }
  await sleep(clock, 1_500);
  return {
    api,
    callers,
    receiverUrl,
    stop: async () => {
      await worker.stop();
      await api.stop();
      await receiver.stop();
    },
  };
}

async function signUp(url: string): Promise<Caller> {
  const email = `${Bun.randomUUIDv7()}@example.com`;
  const password = "a password for benchmarks";
  await fetch(`${url}/users/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const answer = await fetch(`${url}/login/access-token`, {
    method: "POST",
    body: new URLSearchParams({ username: email, password }),
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  return { url, token };
}

async function call(caller: Caller, path: string, body: object): Promise<{ id: string }> {
  const answer = await fetch(`${caller.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${caller.token}` },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { id: string };
}

type Sent = { id: string; sentAt: number };

/** Posts subscribers until then: as fast as the connections allow, or at a rate whatever the answers do. */
async function post(callers: readonly Caller[], how: { until: number; perSecond?: number }): Promise<Sent[]> {
  const sent: Sent[] = [];
  let number = 0;
  const one = async (): Promise<void> => {
    const caller = callers[number % callers.length] as Caller;
    number += 1;
    const sentAt = performance.timeOrigin + performance.now();
    const { id } = await call(caller, "/subscribers", {
      email: `${Bun.randomUUIDv7()}@example.com`,
      first_name: "Grace",
      tags: ["bench"],
    });
    sent.push({ id, sentAt });
  };
  if (how.perSecond === undefined) {
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        while (clock.monotonic() < how.until) await one();
      }),
    );
    return sent;
  }
  const startedAt = clock.monotonic();
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (let due = 0; clock.monotonic() < how.until; due += 1) {
    const waitMs = startedAt + (due * 1_000) / how.perSecond - clock.monotonic();
    if (waitMs > 0) await sleep(clock, waitMs);
    // Heard at once: a failure that nobody waits for yet would end the process, and leave the servers behind.
    const posting = one()
      .catch((error: unknown) => failures.push(error))
      .then(() => void running.delete(posting));
    running.add(posting);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
  return sent;
}

async function received(url: string): Promise<{ count: number }> {
  return (await (await fetch(url)).json()) as { count: number };
}
