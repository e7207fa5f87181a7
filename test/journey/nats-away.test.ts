// NATS may be killed, and its store deleted, at any moment: Postgres holds the truth.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Receiver, slow, startReceiver, status } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

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
    const [during] = await Promise.all([account.subscribers(100), fairpost.nats.kill()]);
    statuses.push(...during, ...(await account.subscribers(100)));
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

test.concurrent("killed while retries wait in it: none comes earlier than its time, and none is lost", async () => {
  const fairpost = await Fairpost.start({ RETRY_SCHEDULE: "8,8" });
  const account = await fairpost.account();
  // Twenty endpoints, so that no circuit opens: each delivery fails once.
  const paths = Array.from({ length: 20 }, (_, n) => `/waits-${n}`);
  for (const path of paths)
    await account.webhook(receiver.at(path, (_request, count) => status(count < 2 ? 500 : 200)));
  await account.event("order.paid");
  await patiently(() => expect(paths.map((path) => receiver.of(path).length)).toEqual(paths.map(() => 1)));
  await patiently(async () => {
    const recorded = await account.deliveries();
    expect(recorded.filter(({ attempt_count }) => attempt_count === 1)).toHaveLength(20);
  });
  await fairpost.nats.kill();
  await fairpost.nats.restart();
  await patiently(() => expect(paths.map((path) => receiver.of(path).length)).toEqual(paths.map(() => 2)), 30_000);
  for (const path of paths) {
    const [first, second] = receiver.of(path).map(({ at }) => at) as [number, number];
    expect(second - first).toBeGreaterThanOrEqual(8_000);
  }
  await patiently(async () => expect(await account.deliveries("status=delivered")).toHaveLength(20));
  await fairpost.stop();
});

/** Stands where NATS stood, and lets nobody sign in. */
function refusingNats(port: number) {
  let refused = 0;
  const info = { server_id: "REFUSES", version: "2.14.0", host: "127.0.0.1", port, max_payload: 1_000_000, proto: 1 };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) =>
        void socket.write(`INFO ${JSON.stringify({ ...info, auth_required: true, headers: true })}\r\n`),
      data(socket) {
        refused += 1;
        socket.end("-ERR 'Authorization Violation'\r\n");
      },
    },
  });
  return { refusedCount: () => refused, stop: () => server.stop(true) };
}

test.concurrent(
  "back, but letting nobody sign in for a while, so that the clients give up: all are delivered",
  async () => {
    const fairpost = await Fairpost.start();
    const account = await fairpost.account();
    await account.webhook(receiver.at("/refused"), { max_in_flight: 4 });
    await account.subscribers(20);
    await patiently(() => expect(new Set(receiver.eventIds("/refused")).size).toBe(20));
    await fairpost.nats.kill();
    const refusing = refusingNats(fairpost.nats.port);
    // A client takes the second equal refusal for final; each of the two makes connections of its own after that.
    await patiently(() => expect(refusing.refusedCount()).toBeGreaterThan(10));
    expect(new Set(await account.subscribers(20))).toEqual(new Set([201]));
    refusing.stop();
    await fairpost.nats.restart();
    await patiently(() => expect(new Set(receiver.eventIds("/refused")).size).toBe(40));
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
    await patiently(() => expect(receiver.of("/wiped").length).toBeGreaterThan(10));
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
