// The schedule at its real pace: 500, 500, 200, and every request verified by the public library.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { type Receiver, startReceiver, status } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

let fairpost: Fairpost;
let receiver: Receiver;
beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.start({ RETRY_SCHEDULE: "1,5,25" });
});
afterAll(async () => {
  await fairpost.stop();
  await receiver.stop();
});

test("a receiver that fails twice gets three requests, about 1 s and 5 s apart, and the API shows all three", async () => {
  const account = await fairpost.account();
  const webhook = await account.webhook(receiver.at("/third-time", (_, count) => status(count < 3 ? 500 : 200)));
  const event = await account.event("order.paid", { order_id: 1042, text: "Zoë 🎉" });
  await patiently(() => expect(receiver.of("/third-time")).toHaveLength(3));
  const requests = receiver.of("/third-time");
  expect(new Set(receiver.eventIds("/third-time"))).toEqual(new Set([event.id]));
  expect(new Set(requests.map(({ body }) => body)).size).toBe(1);
  const verifier = new Webhook(webhook.secret);
  for (const { body, headers } of requests) {
    expect(verifier.verify(body, headers)).toMatchObject({ type: "order.paid", data: { order_id: 1042 } });
    expect(headers["content-type"]).toBe("application/json");
    expect(headers["user-agent"]).toStartWith("Fairpost/");
  }
  const [first, second, third] = requests.map(({ at }) => at) as [number, number, number];
  expect(second - first).toBeGreaterThanOrEqual(1_000);
  expect(second - first).toBeLessThan(2_500);
  expect(third - second).toBeGreaterThanOrEqual(5_000);
  expect(third - second).toBeLessThan(7_500);
  const stamps = requests.map(({ headers }) => Number(headers["webhook-timestamp"]));
  expect((stamps[2] ?? 0) - (stamps[0] ?? 0)).toBeGreaterThanOrEqual(5);
  const [delivery] = await patiently(async () => {
    const delivered = await account.deliveries("status=delivered");
    expect(delivered).toHaveLength(1);
    return delivered;
  });
  const { attempts, attempt_count } = await account.delivery(delivery.id);
  expect(attempt_count).toBe(3);
  expect(attempts.map(({ attempt, status_code }: Record<string, number>) => [attempt, status_code])).toEqual([
    [1, 500],
    [2, 500],
    [3, 200],
  ]);
});

test("after a change of the secret a request verifies with the new one and with the former one", async () => {
  const account = await fairpost.account();
  const webhook = await account.webhook(receiver.at("/rotated"));
  await account.event("order.paid");
  await patiently(() => expect(receiver.of("/rotated")).toHaveLength(1));
  expect((await account.call("POST", `/webhooks/${webhook.id}/rotate-secret`)).status).toBe(200);
  const { secret } = (await account.call("GET", `/webhooks/${webhook.id}/secret`)).json;
  await account.event("order.paid");
  await patiently(() => expect(receiver.of("/rotated")).toHaveLength(2));
  const [before, after] = receiver.of("/rotated");
  expect(() => new Webhook(secret).verify(before?.body ?? "", before?.headers ?? {})).toThrow();
  for (const live of [secret, webhook.secret]) {
    expect(new Webhook(live).verify(after?.body ?? "", after?.headers ?? {})).toMatchObject({ type: "order.paid" });
  }
});
