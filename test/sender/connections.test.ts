// How connections are kept between requests, and what happens when one turns out not to have been.

import { expect, test } from "bun:test";
import { eventually } from "../support/services.ts";
import { Connection } from "../../src/sender/connection.ts";
import { Connections } from "../../src/sender/connections.ts";
import type { SendRequest } from "../../src/sender/send.ts";
import { createSender } from "../../src/sender/send.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { LOOPBACK, type RawReceiver, rawReceiver, requestTo, senderWith } from "./receivers.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
type Answer = (socket: Bun.Socket<undefined>) => void;

/** Answers one request after another with the next of `answers`, over all connections; the last one again and again. */
function receiverWith(...answers: Answer[]): RawReceiver {
  let turn = 0;
  return rawReceiver((socket) => {
    answers[Math.min(turn, answers.length - 1)]?.(socket);
    turn += 1;
  });
}

const answer: Answer = (socket) => {
  socket.write(OK);
};
const hangUp: Answer = (socket) => {
  socket.end();
};

const requestsIn = (received: string): number => received.split("POST ").length - 1;
const accepted = { kind: "accepted", answer: { responseBody: "ok" } };

test("one connection carries one request after another", async () => {
  using receiver = receiverWith(answer);
  const sender = senderWith();
  for (let n = 0; n < 5; n += 1) expect(await sender.send(requestTo(receiver.url))).toMatchObject(accepted);
  expect(receiver.connections).toBe(1);
});

test("two names at one address do not share a connection", async () => {
  using receiver = receiverWith(answer);
  const sender = senderWith({ lookup: async () => ["127.0.0.1"] });
  const hosts = ["one.example", "two.example", "127.0.0.1", "one.example", "two.example"];
  for (const host of hosts) await sender.send(requestTo(`http://${host}:${receiver.port}/`));
  expect(receiver.connections).toBe(3);
});

test("requests at the same time have a connection each", async () => {
  using receiver = receiverWith(answer);
  const sender = senderWith();
  const three = () => Promise.all([1, 2, 3].map(() => sender.send(requestTo(receiver.url))));
  expect((await three()).map(({ kind }) => kind)).toEqual(["accepted", "accepted", "accepted"]);
  await three();
  expect(receiver.connections).toBe(3);
});

test("a kept connection that the receiver ends just then costs a second try, not an attempt", async () => {
  using receiver = receiverWith(answer, hangUp, answer);
  const sender = senderWith();
  await sender.send(requestTo(receiver.url));
  expect(await sender.send(requestTo(receiver.url))).toMatchObject(accepted);
  expect(receiver.connections).toBe(2);
});

test.each([
  ["on a new connection", [hangUp], 1],
  ["on the second try", [answer, hangUp], 3],
] as const)("a request that gets no answer %s has failed", async (_, answers, requests) => {
  using receiver = receiverWith(...answers);
  const sender = senderWith();
  if (answers.length > 1) await sender.send(requestTo(receiver.url));
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({
    kind: "failed",
    stage: "connect",
    error: "the connection was closed before an answer came",
  });
  expect(requestsIn(receiver.received)).toBe(requests);
});

test("an answer that has begun is not asked for again", async () => {
  using receiver = receiverWith(answer, (socket) => socket.end("HTTP/1.1 2"), answer);
  const sender = senderWith();
  await sender.send(requestTo(receiver.url));
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({ kind: "failed", stage: "connect" });
  expect(requestsIn(receiver.received)).toBe(2);
});

test("nor is one whose connection ended late: the receiver may have been at work on it", async () => {
  let lateMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + lateMs };
  using receiver = receiverWith(answer, (socket) => {
    lateMs = 1_500;
    socket.end();
  });
  const sender = senderWith({ clock });
  await sender.send(requestTo(receiver.url));
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({ kind: "failed", stage: "connect" });
  expect(requestsIn(receiver.received)).toBe(2);
});

test("the second try needs a permission of its own", async () => {
  using receiver = receiverWith(answer, hangUp, answer);
  const sender = createSender({ clock: systemClock, version: "1.2.3", egressAllow: LOOPBACK });
  await sender.send(requestTo(receiver.url));
  let asked = 0;
  const request: SendRequest = { ...requestTo(receiver.url), mayStart: () => (asked += 1) === 1 };
  expect(await sender.send(request)).toBeUndefined();
  expect(asked).toBe(2);
  expect(requestsIn(receiver.received)).toBe(2);
});

test("what a receiver says unasked is no answer to the next request", async () => {
  using receiver = receiverWith((socket) => {
    socket.write(OK);
    setTimeout(() => socket.write("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"), 10);
  }, answer);
  const sender = senderWith();
  await sender.send(requestTo(receiver.url));
  await receiver.closed;
  expect(await sender.send(requestTo(receiver.url))).toMatchObject(accepted);
  expect(receiver.connections).toBe(2);
});

test("a receiver that answers before it has read everything is not sent the rest on the same connection", async () => {
  // Never reads on: what does not fit into the buffers of the system stays unsent.
  using receiver = receiverWith((socket) => {
    socket.pause();
    socket.write("HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n");
  });
  const sender = senderWith();
  const payload = JSON.stringify("x".repeat(16 * 1024 * 1024));
  expect(await sender.send(requestTo(receiver.url, { payload }))).toMatchObject({ kind: "failed", stage: "response" });
  await sender.send(requestTo(receiver.url));
  expect(receiver.connections).toBe(2);
});

test.each([
  ["for a little less than the receiver says", "keep-alive: timeout=5\r\n", 3_900, 4_100],
  ["for 15 s where it says nothing", "", 14_900, 15_100],
  ["for a minute at most", "keep-alive: timeout=3600\r\n", 59_900, 60_100],
])("a connection is kept %s", async (_, header, keptMs, lostMs) => {
  let passedMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passedMs };
  using receiver = receiverWith((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${header}content-length: 2\r\n\r\nok`);
  });
  const sender = senderWith({ clock });
  await sender.send(requestTo(receiver.url));
  passedMs += keptMs;
  await sender.send(requestTo(receiver.url));
  expect(receiver.connections).toBe(1);
  passedMs += lostMs;
  await sender.send(requestTo(receiver.url));
  expect(receiver.connections).toBe(2);
});

test("a process that was frozen until its time was up sends nothing when it wakes", async () => {
  let frozenMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + frozenMs };
  using receiver = receiverWith(answer);
  const sender = createSender({ clock, version: "1.2.3", egressAllow: LOOPBACK });
  // Frozen between the permission and the open connection.
  const mayStart = () => {
    frozenMs = 20_000;
    return true;
  };
  const outcome = await sender.send({ ...requestTo(receiver.url), mayStart });
  expect(outcome).toMatchObject({ kind: "failed", stage: "timeout", error: "no answer within 10 s" });
  await eventually(() => expect(receiver.connections).toBe(1));
  expect(receiver.received).toBe("");
});

test("a body comes through whole, in whatever pieces it comes", async () => {
  const body = Array.from({ length: 4_000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join("");
  using receiver = receiverWith((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
    let at = 0;
    const next = () => {
      socket.write(body.slice(at, at + 97));
      at += 97;
      if (at < body.length) setImmediate(next);
    };
    setImmediate(next);
  });
  expect(await senderWith().send(requestTo(receiver.url))).toMatchObject({ answer: { responseBody: body } });
});

test("so many are kept in all; the one that has waited longest makes room", async () => {
  using receiver = receiverWith(answer);
  const connections = new Connections(systemClock, 2);
  const places = ["a", "b", "c"].map((key) => ({ key, address: "127.0.0.1", port: receiver.port }));
  for (const place of places) {
    const connection = new Connection(place);
    expect(await connection.opened()).toBeNull();
    connections.keep(connection, null);
  }
  expect(connections.kept).toBe(2);
  expect(places.map((place) => connections.take(place)?.isClosed)).toEqual([undefined, false, false]);
  expect(connections.kept).toBe(0);
});
