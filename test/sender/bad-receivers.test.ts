// Receivers that misbehave on the level of TCP and HTTP: each becomes an outcome in words, none an exception.

import { expect, test } from "bun:test";
import { rawAnswer, rawReceiver, requestTo, senderWith } from "./receivers.ts";

const sender = senderWith();
const SHORT_MS = 600;

test.each([
  ["closes without an answer", "", "the connection was closed before an answer came"],
  ["is no HTTP server", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not valid HTTP"],
  ["claims a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "the answer is not valid HTTP"],
  ["switches protocols", "HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "the answer is not valid HTTP"],
  [
    "sends ten thousand headers",
    `HTTP/1.1 200 OK\r\n${"x: yz\r\n".repeat(10_000)}content-length: 0\r\n\r\n`,
    "the answer's headers are too large",
  ],
  [
    "breaks off in the body",
    "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    "the connection broke before the answer's body",
  ],
  [
    "sends a broken chunk",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "the answer is not valid HTTP",
  ],
])("a receiver that %s", async (_, bytes, error) => {
  using receiver = rawAnswer(bytes);
  const outcome = await sender.send(requestTo(receiver.url));
  expect(outcome).toMatchObject({ kind: "failed", stage: "connect", error: expect.stringContaining(error) });
  expect(receiver.connections).toBe(1);
});

test("a receiver that resets the connection", async () => {
  using receiver = rawReceiver((socket) => {
    socket.terminate();
  });
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({ kind: "failed", stage: "connect", answer: null });
});

test("nobody listens", async () => {
  const receiver = rawAnswer("");
  receiver[Symbol.dispose]();
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({
    kind: "failed",
    stage: "connect",
    error: "the connection was refused",
  });
});

test("informational answers are passed over", async () => {
  using receiver = rawAnswer(
    "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
  );
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({
    kind: "accepted",
    answer: { responseBody: "ok" },
  });
});

test("a body that ends with the connection is complete", async () => {
  using receiver = rawAnswer("HTTP/1.1 200 OK\r\n\r\nok");
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({
    kind: "accepted",
    answer: { responseBody: "ok" },
  });
});

test.each([
  ["never answers", ""],
  ["stops within its headers", "HTTP/1.1 200 OK\r\ncontent-le"],
  ["only ever continues", "HTTP/1.1 100 Continue\r\n\r\n"],
])("a receiver that %s runs into the timeout and is hung up on", async (_, bytes) => {
  using receiver = rawReceiver((socket) => {
    socket.write(bytes);
  });
  const outcome = await sender.send(requestTo(receiver.url, { timeoutMs: SHORT_MS }));
  expect(outcome).toMatchObject({ kind: "failed", stage: "timeout", error: "no answer within 0.6 s", answer: null });
  expect(outcome.latencyMs).toBeGreaterThanOrEqual(SHORT_MS - 1);
  await receiver.closed;
});

/** Sends a head, then a byte every few milliseconds for ever. */
function drippingReceiver(head: string) {
  return rawReceiver((socket) => {
    socket.write(head);
    const drip = setInterval(() => {
      if (socket.readyState <= 0 || socket.write("x") < 0) clearInterval(drip);
    }, 5);
  });
}

test("a success whose body never ends is a timeout, and its status is kept", async () => {
  using receiver = drippingReceiver("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
  expect(await sender.send(requestTo(receiver.url, { timeoutMs: SHORT_MS }))).toMatchObject({
    kind: "failed",
    stage: "timeout",
    error: "the answer's body did not end within 0.6 s",
    answer: { statusCode: 200, responseBody: expect.stringMatching(/^x+$/) },
  });
  await receiver.closed;
});

test("a failure whose body never ends is what its status says", async () => {
  using receiver = drippingReceiver("HTTP/1.1 503 X\r\nretry-after: 60\r\ncontent-length: 1000000\r\n\r\n");
  expect(await sender.send(requestTo(receiver.url, { timeoutMs: SHORT_MS }))).toMatchObject({
    kind: "failed",
    stage: "response",
    answer: { statusCode: 503, retryAfterMs: 60_000 },
  });
  await receiver.closed;
});

test("of a body without end 64 KiB are read, then the connection is dropped; a 2xx is accepted", async () => {
  const chunk = "x".repeat(16 * 1024);
  let sentBytes = 0;
  using receiver = rawReceiver((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const pour = () => {
      const written = socket.write(chunk);
      if (written < 0) return;
      sentBytes += written;
      setImmediate(pour);
    };
    pour();
  });
  const outcome = await sender.send(requestTo(receiver.url));
  expect(outcome).toMatchObject({ kind: "accepted", answer: { responseBody: "x".repeat(4_096) } });
  await receiver.closed;
  expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
});

test("headers without end are refused", async () => {
  const line = `x-filler: ${"y".repeat(60_000)}\r\n`;
  using receiver = rawReceiver((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    const pour = () => {
      if (socket.write(line) >= 0) setImmediate(pour);
    };
    pour();
  });
  expect(await sender.send(requestTo(receiver.url))).toMatchObject({
    kind: "failed",
    stage: "connect",
    error: "the answer's headers are too large",
  });
});

test("looking up a name counts in the time of the attempt", async () => {
  const silent = senderWith({ lookup: () => new Promise(() => {}) });
  expect(await silent.send(requestTo("http://silent.example/", { timeoutMs: SHORT_MS }))).toMatchObject({
    kind: "failed",
    stage: "timeout",
    error: "looking up silent.example took longer than 0.6 s",
  });
});
