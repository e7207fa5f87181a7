// How many requests of one webhook are under way at once.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Receiver, slow, startReceiver } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

let fairpost: Fairpost;
let receiver: Receiver;
beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.onServers();
});
afterAll(async () => {
  await fairpost.stop();
  await receiver.stop();
});

test("as many as max_in_flight says begin at once, though the worker has only just heard of the webhook", async () => {
  await fairpost.begin(fairpost.create("api"));
  await fairpost.ready();
  const account = await fairpost.account();
  await account.webhook(receiver.at("/ten", slow(5_000)), { max_in_flight: 10 });
  // All of them wait when the worker comes.
  await account.subscribers(10);
  await fairpost.begin(fairpost.create("worker"));
  await patiently(() => expect(receiver.of("/ten")).toHaveLength(10));
  expect(receiver.of("/ten").map(({ atOnce }) => atOnce)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});
