// The receiver of the fault table, in a process of its own so that nothing that dies takes it along. It records every
// request, and answers as its path says: `/<latency in ms>/<n of every so many that gets a 500>/<name>`.
//
// A request counts as running until it is answered or its client is gone.

import { Webhook } from "standardwebhooks";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { RECORDS_PATH, SECRETS_PATH, type ReceivedRequest } from "./receiver.ts";

/** The end of a dead client's connection and the next client's request may be told in either order. */
const GONE_GRACE_MS = 100;

type Running = { endedAt: number | undefined };

const secrets = new Map<string, Webhook>();
const ended: ReceivedRequest[] = [];
const running = new Map<string, Set<Running>>();
const counts = new Map<string, number>();

async function receive(request: Request, path: string): Promise<Response> {
  const here = running.get(path) ?? new Set();
  running.set(path, here);
  const startedAt = systemClock.now();
  const one: Running = { endedAt: undefined };
  const before = [...here];
  here.add(one);
  let isGone = false;
  const end = (): void => {
    one.endedAt ??= systemClock.now();
    here.delete(one);
  };
  const gone = Promise.withResolvers<void>();
  request.signal.addEventListener("abort", () => {
    isGone = true;
    end();
    gone.resolve();
  });
  const count = (counts.get(path) ?? 0) + 1;
  counts.set(path, count);
  const [, latencyMs = "0", failEvery = "0"] = path.split("/");
  let body = "";
  try {
    body = await request.text();
    await Promise.race([gone.promise, sleep(systemClock, Number(latencyMs))]);
  } catch {
    isGone = true;
  }
  end();
  const status = Number(failEvery) > 0 && count % Number(failEvery) === 0 ? 500 : 200;
  const overlapMs = await overlapOf(one, startedAt, before);
  ended.push({
    path,
    eventId: request.headers.get("webhook-id") ?? "",
    subscriberId: /"subscriber":\{"id":"([^"]+)"/.exec(body)?.[1],
    startedAt,
    endedAt: one.endedAt ?? startedAt,
    status: isGone ? undefined : status,
    isSigned: isSigned(path, body, request.headers),
    overlapMs,
  });
  return new Response(null, { status });
}

/** For how long one of `before` still ran beside it, milliseconds. */
async function overlapOf(one: Running, startedAt: number, before: readonly Running[]): Promise<number> {
  if (before.length === 0) return 0;
  if (before.some(({ endedAt }) => endedAt === undefined)) await sleep(systemClock, GONE_GRACE_MS);
  const until = Math.max(...before.map(({ endedAt }) => endedAt ?? Number.POSITIVE_INFINITY));
  const overlapMs = Math.min(until, one.endedAt ?? Number.POSITIVE_INFINITY, systemClock.now()) - startedAt;
  return overlapMs > GONE_GRACE_MS / 2 ? overlapMs : 0;
}

function isSigned(path: string, body: string, headers: Headers): boolean {
  try {
    secrets.get(path)?.verify(body, {
      "webhook-id": headers.get("webhook-id") ?? "",
      "webhook-timestamp": headers.get("webhook-timestamp") ?? "",
      "webhook-signature": headers.get("webhook-signature") ?? "",
    });
    return secrets.has(path);
  } catch {
    return false;
  }
}

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 120,
  async fetch(request) {
    const url = new URL(request.url);
    if (url.pathname === SECRETS_PATH) {
      const given = (await request.json()) as { path: string; secret: string };
      secrets.set(given.path, new Webhook(given.secret));
      return new Response();
    }
    if (url.pathname === RECORDS_PATH) {
      const from = Number(url.searchParams.get("from"));
      const stillRunning = [...running.values()].reduce((sum, { size }) => sum + size, 0);
      return Response.json({ requests: ended.slice(from), running: stillRunning });
    }
    return receive(request, url.pathname);
  },
});

process.on("disconnect", () => process.exit(0));
process.send?.({ url: `http://127.0.0.1:${server.port}` });
