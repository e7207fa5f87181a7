// The request as a well-behaved receiver gets it, and what becomes of its answer.

import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { newWebhookSecret } from "../../src/domain/webhook.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createSender } from "../../src/sender/send.ts";
import { LOOPBACK, requestTo, SECRET, senderWith } from "./receivers.ts";

type Seen = { url: string; method: string; headers: Record<string, string>; body: string };

let seen: Seen[] = [];
let respond: () => Response = () => new Response("thank you");
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const headers = Object.fromEntries(request.headers);
    seen.push({ url: request.url, method: request.method, headers, body: await request.text() });
    return respond();
  },
});
const url = `http://127.0.0.1:${server.port}/hook`;
const sender = senderWith();

beforeEach(() => {
  seen = [];
  respond = () => new Response("thank you");
});
afterAll(() => server.stop(true));

describe("the request", () => {
  test("is a signed POST that the public library verifies, byte for byte", async () => {
    const secrets = [SECRET, newWebhookSecret()];
    const request = requestTo(`${url}/a%20b?x=1&y=%2F#fragment`, {
      secrets,
      headers: { "X-Api-Key": "k", cookie: "a=b" },
    });
    expect(await sender.send(request)).toMatchObject({
      kind: "accepted",
      answer: { statusCode: 200, responseBody: "thank you", retryAfterMs: null },
    });
    const [got] = seen;
    expect(got).toMatchObject({ method: "POST", url: `${url}/a%20b?x=1&y=%2F`, body: request.payload });
    expect(got?.headers).toMatchObject({
      "content-type": "application/json",
      "user-agent": "Fairpost/1.2.3",
      "webhook-id": request.eventId,
      "accept-encoding": "identity",
      "x-api-key": "k",
      cookie: "a=b",
    });
    for (const secret of secrets) new Webhook(secret).verify(got?.body ?? "", got?.headers ?? {});
  });

  test("goes to the vetted address under the name of the URL", async () => {
    const named = senderWith({ lookup: async () => ["127.0.0.1"] });
    await named.send(requestTo(`http://Hooks.Example.:${server.port}/hook`));
    expect(seen[0]?.headers["host"]).toBe(`hooks.example:${server.port}`);
  });

  test("reaches a mapped address as the address it is", async () => {
    expect((await sender.send(requestTo(`http://[::ffff:7f00:1]:${server.port}/`))).kind).toBe("accepted");
  });

  test("tries the second address when the first refuses the connection", async () => {
    const named = senderWith({ lookup: async () => ["127.0.0.1", "127.0.0.2"] });
    const other = Bun.serve({ port: 0, hostname: "127.0.0.2", fetch: () => new Response("second") });
    const outcome = await named.send(requestTo(`http://two.example:${other.port}/`));
    await other.stop(true);
    expect(outcome).toMatchObject({ kind: "accepted", answer: { responseBody: "second" } });
  });

  test("cannot be made to carry a header that is ours", async () => {
    for (const name of ["Host", "webhook-signature", "Content-Length", "a b", "a\r\nb"]) {
      const outcome = await sender.send(requestTo(url, { headers: { [name]: "x" } }));
      expect(outcome).toMatchObject({ kind: "failed", stage: "webhook" });
    }
    expect(await sender.send(requestTo(url, { secrets: [] }))).toMatchObject({ kind: "failed", stage: "webhook" });
    expect(seen).toEqual([]);
  });
});

describe("the answer", () => {
  const answerTo = async (response: () => Response) => {
    respond = response;
    return sender.send(requestTo(url));
  };

  test.each([200, 201, 202, 204, 299])("%i is accepted", async (status) => {
    expect(await answerTo(() => new Response(null, { status }))).toMatchObject({
      kind: "accepted",
      answer: { statusCode: status, responseBody: null },
    });
  });

  test("410 is gone", async () => {
    expect(await answerTo(() => new Response("bye", { status: 410 }))).toMatchObject({ kind: "gone" });
  });

  test.each([300, 304, 400, 401, 404, 409, 429, 500, 502, 503])("%i is a failure of the answer", async (status) => {
    expect(await answerTo(() => new Response(null, { status }))).toMatchObject({
      kind: "failed",
      stage: "response",
      error: expect.stringMatching(new RegExp(`^HTTP ${status}`)),
    });
  });

  test.each([301, 302, 303, 307, 308])("%i is not followed", async (status) => {
    const location = `http://127.0.0.1:${server.port}/inner`;
    const outcome = await answerTo(() => new Response(null, { status, headers: { location } }));
    expect(outcome).toMatchObject({
      kind: "failed",
      stage: "response",
      error: `HTTP ${status}: redirects are not followed`,
    });
    expect(seen).toHaveLength(1);
  });

  test("Retry-After is read", async () => {
    const busy = () => new Response("busy", { status: 503, headers: { "retry-after": "120" } });
    expect(await answerTo(busy)).toMatchObject({ answer: { retryAfterMs: 120_000, responseBody: "busy" } });
  });

  test("a packed body is not unpacked", async () => {
    const packed = Bun.gzipSync(Buffer.alloc(10_000_000));
    const outcome = await answerTo(() => new Response(packed, { headers: { "content-encoding": "gzip" } }));
    expect(outcome.kind).toBe("accepted");
    expect(outcome.answer?.responseBody).toStartWith("\u001F\uFFFD");
  });

  test("text that Postgres would refuse is made storable", async () => {
    const body = Buffer.concat([Buffer.from("a\0b"), Buffer.of(0xff, 0xed, 0xa0, 0x80)]);
    const outcome = await answerTo(() => new Response(body, { status: 500 }));
    expect(outcome.answer?.responseBody).toMatch(/^a\uFFFDb\uFFFD+$/);
  });

  test("4 KiB of a long body are kept, without half a character", async () => {
    const outcome = await answerTo(() => new Response("x".repeat(4_094) + "🎉".repeat(1_000)));
    expect(outcome).toMatchObject({ kind: "accepted", answer: { responseBody: "x".repeat(4_094) } });
  });
});

test("connections are used again", async () => {
  const ports = new Set<number | undefined>();
  const counting = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, self) {
      ports.add(self.requestIP(request)?.port);
      return new Response(ports.size % 2 === 0 ? "ok" : null);
    },
  });
  for (let n = 0; n < 20; n += 1) await sender.send(requestTo(`http://127.0.0.1:${counting.port}/`));
  await counting.stop(true);
  expect(ports.size).toBe(1);
});

test("a faulty allow-list is refused at start", () => {
  expect(() => senderWith({ egressAllow: [...LOOPBACK, "loopback"] })).toThrow("loopback");
});

test("a request whose permission is gone at the last moment is withheld", async () => {
  let requests = 0;
  using server = Bun.serve({
    port: 0,
    fetch() {
      requests += 1;
      return new Response();
    },
  });
  const strict = createSender({ clock: systemClock, version: "1.2.3", egressAllow: ["127.0.0.0/8"] });
  const request = { ...requestTo(`http://127.0.0.1:${server.port}/`), mayStart: () => false };
  expect(await strict.send(request)).toBeUndefined();
  expect(requests).toBe(0);
});
