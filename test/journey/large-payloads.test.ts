// Large payloads for receivers that hang: more than a worker should hold, and nobody else's wait.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

const WEBHOOKS = 300;
const EVENTS = 4;
const text = "x".repeat(250_000);

let fairpost: Fairpost;
let receiver: Receiver;
let release: () => void;
const released = new Promise<void>((resolve) => (release = resolve));

beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.onServers({ ATTEMPT_TIMEOUT_MS: "30000" });
  fairpost.spawn("api");
  await fairpost.ready();
});
afterAll(async () => {
  release();
  await fairpost.stop();
  await receiver.stop();
});

test("one account's large payloads, which its receivers do not take, hold up no other account's deliveries", async () => {
  const [hog, small] = await Promise.all([fairpost.account(), fairpost.account()]);
  const hangs = () => released.then(() => new Response());
  await small.webhook(receiver.at("/small"));
  for (let at = 0; at < WEBHOOKS; at += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => hog.webhook(receiver.at(`/hog/${at + n}`, hangs))));
  }
  await Promise.all(Array.from({ length: EVENTS }, () => hog.event("order.paid", { text })));
  fairpost.spawn("worker");
  const requests = () => Array.from({ length: WEBHOOKS }, (_, n) => receiver.of(`/hog/${n}`).length);
  await patiently(() => expect(requests().filter((count) => count > 0).length).toBeGreaterThan(50));
  const endsAt = performance.now() + 4_000;
  for (let event = 1; performance.now() < endsAt; event += 1) {
    await small.event("order.paid");
    await patiently(() => expect(receiver.of("/small")).toHaveLength(event));
  }
  // They did hang all the while.
  expect(Math.max(...requests())).toBe(1);
});
