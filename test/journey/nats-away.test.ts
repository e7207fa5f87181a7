// NATS may be killed, and its store deleted, at any moment: Postgres holds the truth.

import { afterAll, beforeAll, expect, test, setDefaultTimeout } from "bun:test";
import { type Receiver, slow, startReceiver } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

setDefaultTimeout(60_000);

let receiver: Receiver;
beforeAll(() => {
  receiver = startReceiver();
});
afterAll(() => receiver.stop());

test.concurrent(
  "killed while subscribers are created: every POST answers 201, and everything is delivered once it is back",
  async () => {
    const fairpost = await Fairpost.start();
    const account = await fairpost.account();
    await account.webhook(receiver.at("/killed", slow(5)), { max_in_flight: 4 });
    const statuses: number[] = [];
    statuses.push(...(await account.subscribers(100)));
    const during = account.subscribers(100);
    await fairpost.nats.kill();
    statuses.push(...(await during), ...(await account.subscribers(100)));
    expect(new Set(statuses)).toEqual(new Set([201]));
    await fairpost.nats.restart();
    await patiently(() => expect(new Set(receiver.eventIds("/killed")).size).toBe(300), 40_000);
    // Acks that the broker never saw cost nothing; requests without a recorded result could be sent again.
    expect(receiver.of("/killed").length).toBeLessThanOrEqual(304);
    expect(receiver.atOnceMax("/killed")).toBeLessThanOrEqual(4);
    await patiently(async () => expect(await account.deliveries("status=pending")).toHaveLength(0));
    await fairpost.stop();
  },
);

test.concurrent(
  // Nobody claims a partition of a new bucket before the leases of the old one have run out: 26 s.
  "its store deleted with deliveries pending: all are delivered",
  async () => {
    const fairpost = await Fairpost.start();
    const account = await fairpost.account();
    await account.webhook(receiver.at("/wiped", slow(20)));
    await account.subscribers(150);
    await patiently(() => expect(receiver.of("/wiped").length).toBeGreaterThan(10), 10_000);
    await fairpost.nats.wipe();
    const statuses = await account.subscribers(20);
    expect(new Set(statuses)).toEqual(new Set([201]));
    await patiently(() => expect(new Set(receiver.eventIds("/wiped")).size).toBe(170), 40_000);
    expect(receiver.atOnceMax("/wiped")).toBe(1);
    expect(receiver.of("/wiped").length).toBeLessThanOrEqual(171);
    await patiently(async () => expect(await account.deliveries("status=pending")).toHaveLength(0));
    await fairpost.stop();
  },
);
