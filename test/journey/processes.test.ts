// Roles as processes of their own, killed or told to leave.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Receiver, slow, startReceiver } from "../support/receiver.ts";
import { Fairpost, patiently, type RoleProcess } from "./fairpost.ts";

let fairpost: Fairpost;
let receiver: Receiver;
let api: RoleProcess;
let worker: RoleProcess;
beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.onServers();
  [api, worker] = [fairpost.spawn("api"), fairpost.spawn("worker")];
  await fairpost.ready();
});
afterAll(async () => {
  await fairpost.stop();
  await receiver.stop();
});

test("a worker that is told to leave finishes what is in flight, and its successor sends nothing again", async () => {
  const account = await fairpost.account();
  await account.webhook(receiver.at("/graceful", slow(30)), { max_in_flight: 3 });
  await account.subscribers(200);
  for (let round = 1; round <= 2; round += 1) {
    await patiently(() => expect(receiver.of("/graceful").length).toBeGreaterThan(40 * round));
    await worker.kill("SIGTERM");
    expect(worker.process.exitCode).toBe(0);
    worker = fairpost.spawn("worker");
  }
  await patiently(() => expect(new Set(receiver.eventIds("/graceful")).size).toBe(200), 30_000);
  await patiently(async () => expect(await account.deliveries("status=pending")).toHaveLength(0));
  expect(receiver.of("/graceful")).toHaveLength(200);
  expect(receiver.atOnceMax("/graceful")).toBeLessThanOrEqual(3);
});

test("an API that is killed in the middle of 500 POSTs: every 201 that was seen arrives", async () => {
  const account = await fairpost.account();
  await account.webhook(receiver.at("/api-killed"), { max_in_flight: 10 });
  const seen: string[] = [];
  const posts = Array.from({ length: 500 }, async (_, index) => {
    const email = `${index}@example.com`;
    // Refused and broken connections are what a kill looks like to a client.
    const answer = await account.call("POST", "/subscribers", { email }).catch(() => undefined);
    if (answer?.status === 201) seen.push(email);
    if (seen.length === 150) api.process.kill("SIGKILL");
  });
  await Promise.all(posts);
  await api.process.exited;
  expect(seen.length).toBeGreaterThanOrEqual(150);
  const arrived = () => new Set(receiver.of("/api-killed").map(({ body }) => JSON.parse(body).data.subscriber.email));
  await patiently(() => expect(seen.filter((email) => !arrived().has(email))).toEqual([]));
  api = fairpost.spawn("api");
  await fairpost.ready();
  await patiently(async () => expect(await account.deliveries("status=pending")).toHaveLength(0));
  expect(new Set(receiver.eventIds("/api-killed")).size).toBe(receiver.of("/api-killed").length);
});
