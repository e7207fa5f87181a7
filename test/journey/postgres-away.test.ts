// The start of an API, above all while Postgres is away.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { TcpProxy } from "../faults/tcp-proxy.ts";
import { Fairpost, patiently } from "./fairpost.ts";

const email = "root@example.com";
const password = "root has a password";

let fairpost: Fairpost;
let proxy: TcpProxy;
let env: Record<string, string>;
beforeAll(async () => {
  fairpost = await Fairpost.onServers();
  const url = new URL(fairpost.database.url);
  proxy = await TcpProxy.to(Number(url.port));
  url.port = String(proxy.port);
  env = { DATABASE_URL: url.href, FIRST_SUPERUSER: email, FIRST_SUPERUSER_PASSWORD: password };
});
afterAll(async () => {
  await fairpost.stop();
  proxy.stop();
});

async function signIn(username = email): Promise<{ status: number; type: string | null }> {
  const body = new URLSearchParams({ username, password });
  const answer = await fetch(`${fairpost.url}/api/v1/login/access-token`, { method: "POST", body });
  return { status: answer.status, type: answer.headers.get("content-type") };
}

test("where Postgres is there, the first superuser can sign in as soon as the start has returned", async () => {
  const api = fairpost.create("api", { ...env, FIRST_SUPERUSER: "first@example.com" });
  await api.start();
  expect((await signIn("first@example.com")).status).toBe(200);
  await api.stop();
});

test.each(["cut", "swallow"] as const)("a start that is told to stop meanwhile ends: %s", async (how) => {
  proxy[how]();
  const api = fairpost.create("api", env);
  await api.start();
  const stoppedAt = performance.now();
  await api.stop();
  expect(performance.now() - stoppedAt).toBeLessThan(8_000);
});

test("it listens and answers 503, and makes the first superuser once Postgres is back", async () => {
  proxy.cut();
  await fairpost.begin(fairpost.create("api", env));
  expect(await signIn()).toEqual({ status: 503, type: "application/problem+json" });
  expect((await fetch(`${fairpost.url}/health`)).status).toBe(200);
  expect((await fetch(`${fairpost.url}/ready`)).status).toBe(503);
  proxy.heal();
  await fairpost.ready();
  await patiently(async () => expect((await signIn()).status).toBe(200));
});
