// How an answer is read: what frames its body, what is kept of it, and when the connection may be used again.

import { describe, expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import { RESPONSE_KEPT_BYTES_MAX, RESPONSE_READ_BYTES_MAX } from "../../src/domain/limits.ts";
import { createHeadParser, parseHead } from "../../src/sender/answer-head.ts";
import { AnswerReader } from "../../src/sender/answer-reader.ts";

/** Fed in pieces of these lengths over and over; then the receiver ends the connection in order, unless it is over. */
function read(text: string, pieces: readonly number[] = [text.length]) {
  const bytes = Buffer.from(text, "latin1");
  const reader = new AnswerReader();
  for (let at = 0, turn = 0; at < bytes.length && !reader.isOver; turn += 1) {
    const length = Math.max(1, pieces[turn % pieces.length] ?? 1);
    reader.feed(bytes.subarray(at, at + length));
    at += length;
  }
  const wasOver = reader.isOver;
  reader.end(true);
  const { state, head, isReusable, fault } = reader;
  return {
    state,
    status: head?.statusCode,
    body: Buffer.from(reader.kept).toString("latin1"),
    isReusable,
    wasOver,
    fault,
  };
}

const OK = "HTTP/1.1 200 OK\r\n";

describe("the end of a body", () => {
  test.each([
    ["its length", `${OK}Content-Length: 2\r\n\r\nok`, "ok"],
    ["the same length twice", `${OK}content-length: 2\r\ncontent-length: 2\r\n\r\nok`, "ok"],
    ["a length of nothing", `${OK}content-length: 0\r\n\r\n`, ""],
    ["its status", `HTTP/1.1 204 No Content\r\n\r\n`, ""],
    ["chunks", `${OK}Transfer-Encoding: Chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n`, "abc"],
    ["chunks of padded size", `${OK}transfer-encoding: chunked\r\n\r\n000000000002\r\nok\r\n0\r\n\r\n`, "ok"],
    ["chunks, whatever the length says", `${OK}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`, ""],
    ["bare line feeds", `HTTP/1.1 200 OK\ncontent-length: 2\n\nok`, "ok"],
    ["a folded header", `${OK}x: a\r\n b\r\ncontent-length:\r\n 2\r\n\r\nok`, "ok"],
    ["no reason phrase", `HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok`, "ok"],
    [
      "informational answers before it",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\n${OK}content-length: 2\r\n\r\nok`,
      "ok",
    ],
  ])("is known by %s", (_, text, body) => {
    expect(read(text)).toMatchObject({ state: "complete", body, wasOver: true, isReusable: true });
  });

  test("is the end of the connection, where nothing else says so", () => {
    for (const head of [OK, `${OK}transfer-encoding: gzip\r\n`]) {
      expect(read(`${head}\r\nok`)).toMatchObject({ state: "complete", body: "ok", wasOver: false, isReusable: false });
    }
    const reader = new AnswerReader();
    reader.feed(Buffer.from(`${OK}\r\nok`));
    reader.end(false);
    expect(reader.state).toBe("broken");
  });

  test.each([
    ["a length that was not kept", `${OK}content-length: 3\r\n\r\nok`],
    ["chunks that stopped", `${OK}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n`],
    ["a head that stopped", OK],
    ["nothing", ""],
  ])("does not come with %s", (_, text) => {
    expect(read(text)).toMatchObject({ state: "broken", wasOver: false, fault: null, isReusable: false });
  });
});

describe("what is no HTTP", () => {
  test.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.2"],
    ["the next version", "HTTP/2 200\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a protocol that nobody asked for", "HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n"],
    ["a header without a name", `${OK}: x\r\n\r\n`],
    ["a header without a colon", `${OK}x\r\n\r\n`],
    ["a space before the colon", `${OK}content-length : 2\r\n\r\nok`],
    ["two lengths", `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nok`],
    ["two lengths in one", `${OK}content-length: 2, 3\r\n\r\nok`],
    ["a length that is no number", `${OK}content-length: 0x2\r\n\r\nok`],
    ["a chunk without a size", `${OK}transfer-encoding: chunked\r\n\r\n\r\n`],
    ["a chunk that is too long", `${OK}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
    ["a chunk size without end", `${OK}transfer-encoding: chunked\r\n\r\n1;${"x".repeat(5_000)}`],
  ])("is refused at once: %s", (_, text) => {
    expect(read(text)).toMatchObject({ state: "broken", wasOver: true, fault: "the answer is not valid HTTP" });
  });

  test.each([`${OK}x: ${"y".repeat(70_000)}`, "HTTP/1.1 100 x\r\n\r\n".repeat(4_000)])(
    "is refused when it is too large",
    (text) => {
      expect(read(text)).toMatchObject({ wasOver: true, fault: "the answer's headers are too large" });
    },
  );
});

describe("the connection is not used again", () => {
  test.each([
    ["the receiver ends it", `${OK}Connection: foo, Close\r\ncontent-length: 0\r\n\r\n`],
    ["an older receiver does not say that it keeps it", "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"],
    ["length and chunks are both there", `${OK}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["a body is announced where there is none", `HTTP/1.1 204 x\r\ncontent-length: 5\r\n\r\n`],
    ["chunks are announced where there are none", `HTTP/1.1 304 x\r\ntransfer-encoding: chunked\r\n\r\n`],
    ["something follows the body", `${OK}content-length: 2\r\n\r\nokHTTP/1.1 200 OK`],
    ["something follows an answer without a body", `HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK`],
    ["something follows the chunks", `${OK}transfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK`],
  ])("when %s", (_, text) => {
    expect(read(text)).toMatchObject({ state: "complete", isReusable: false });
  });

  test("but for an older receiver that keeps it", () => {
    expect(read("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n").isReusable).toBe(true);
  });
});

test("so much is read of a body, whatever frames it, and less is kept", () => {
  const long = "x".repeat(RESPONSE_READ_BYTES_MAX + 1);
  const chunks = `${(1_000).toString(16)}\r\n${"x".repeat(1_000)}\r\n`.repeat(70);
  for (const text of [
    `${OK}\r\n${long}`,
    `${OK}content-length: 999999999\r\n\r\n${long}`,
    `${OK}transfer-encoding: chunked\r\n\r\n${chunks}`,
  ]) {
    expect(read(text, [1_000])).toMatchObject({
      state: "cut",
      wasOver: true,
      body: "x".repeat(RESPONSE_KEPT_BYTES_MAX),
    });
  }
});

test("informational answers that come together are made text once, not once each", () => {
  using decode = spyOn(Buffer.prototype, "toString");
  const reader = new AnswerReader();
  reader.feed(Buffer.from(`${"HTTP/1.1 100\n\n".repeat(1_000)}${OK}content-length: 0\r\n\r\n`));
  expect(decode).toHaveBeenCalledTimes(1);
  expect(reader.state).toBe("complete");
});

test("the few headers that matter are read in any case", () => {
  const reader = new AnswerReader();
  reader.feed(Buffer.from(`${OK}RETRY-AFTER:  120 \r\nKeep-Alive: max=5, timeout=7\r\ncontent-length: 0\r\n\r\n`));
  expect(reader.head).toMatchObject({ retryAfter: "120", keptAliveS: 7 });
});

const bodies = fc.string({ unit: fc.constantFrom("a", "\r", "\n", "0", "\xff"), maxLength: 60 });
const answers = fc.oneof(
  bodies.map((body) => ({ body, text: `${OK}content-length: ${body.length}\r\n\r\n${body}` })),
  fc.array(bodies.filter((body) => body !== "")).map((parts) => ({
    body: parts.join(""),
    text: `${OK}transfer-encoding: chunked\r\n\r\n${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`,
  })),
);

test("an answer is the same in whatever pieces it comes", () => {
  fc.assert(
    fc.property(answers, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), ({ body, text }, pieces) => {
      expect(read(text, pieces)).toMatchObject({ state: "complete", body, isReusable: true, wasOver: true });
    }),
  );
});

test("whatever comes, in whatever pieces, is read the same way and never throws", () => {
  const words = fc.constantFrom(
    "HTTP/1.1 200 OK",
    "HTTP/1.1 100 x",
    "\r\n",
    "\n",
    ":",
    " ",
    "content-length",
    "transfer-encoding",
    "chunked",
    "2",
    "a",
    "0",
    ";",
  );
  fc.assert(
    fc.property(fc.array(words), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (parts, pieces) => {
      const text = `HTTP/1.1 200 OK\r\n${parts.join("")}`;
      const { state, status, body } = read(text);
      // What follows an answer counts only if it comes together with its end.
      expect(read(text, pieces)).toMatchObject({ state, status, body });
    }),
    { numRuns: 1_000 },
  );
});

test("what a connection remembers of its last head is that head and no other", () => {
  const heads = ["HTTP/1.1 200 OK", "HTTP/1.1 410 Gone", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(2_000)}`, "no HTTP", ""];
  const oneOfThem = fc.constantFrom(...heads);
  fc.assert(
    fc.property(fc.array(oneOfThem), (texts) => {
      const parse = createHeadParser();
      for (const text of texts) expect(parse(text)).toEqual(parseHead(text));
    }),
  );
});
