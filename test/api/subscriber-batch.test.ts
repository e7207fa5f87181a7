import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import type { ApiDeps } from "../../src/api/ports.ts";
import { DomainError } from "../../src/domain/error.ts";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

test("each of a batch is taken or refused for itself, and the answer says what became of it", async () => {
  await ada.call("POST", "/subscribers", { email: "taken@example.com" });
  const fields = `{"z": 12345678901234567890, "2":1.10}`;
  const answer = await ada.call(
    "POST",
    "/subscribers/batch",
    `{"subscribers": [ {"email":"one@example.com","custom_fields":${fields}}, {"email":"TAKEN@example.com"}, 7,
      {"email":"no address","tags":[""]}, {"email":"two@example.com","user_id":"${Bun.randomUUIDv7()}"},
      {"email":"one@example.com"}, {"email":"three@example.com","first_name":"Three"} ]}`,
  );
  expect(answer.status).toBe(200);
  const items: { status: number; error?: { errors?: { path: string }[] }; subscriber?: { email: string } }[] =
    answer.json.data;
  expect(items.map(({ status }) => status)).toEqual([201, 409, 422, 422, 404, 409, 201]);
  expect(items[3]?.error?.errors?.map(({ path }) => path)).toEqual([
    "body.subscribers.3.email",
    "body.subscribers.3.tags.0",
  ]);
  expect(items[6]?.subscriber?.email).toBe("three@example.com");
  expect(answer.text).toContain(fields);
  const { json } = await ada.call("GET", "/subscribers");
  expect(json.count).toBe(3);
  const events = await ada.call("GET", "/events?type=subscriber.created");
  expect(events.text).toContain(fields);
  const priorities = events.json.data.map(({ priority }: { priority: string }) => priority);
  expect(priorities).toEqual(["low", "low", "high"]);
});

test("a text that cannot be stored refuses its own subscriber alone", async () => {
  const grace = await api.account();
  const answer = await grace.call(
    "POST",
    "/subscribers/batch",
    String.raw`{"subscribers":[{"email":"a@example.com"},{"email":"b@example.com","first_name":"\u0000"},7,{"toString":1}]}`,
  );
  const items: { status: number; error?: { errors: { path: string }[] } }[] = answer.json.data;
  expect(items.map(({ status }) => status)).toEqual([201, 422, 422, 422]);
  expect(items[1]?.error?.errors[0]?.path).toBe("body.subscribers.1.first_name");
  expect((await grace.call("POST", "/subscribers/batch", String.raw`{"subscribers":"\u0000"}`)).status).toBe(422);
});

test("a thousand come in as one batch, and one more does not", async () => {
  const grace = await api.account();
  const many = (count: number) => ({
    subscribers: Array.from({ length: count }, (_, index) => ({ email: `n${index}@example.com` })),
  });
  expect((await grace.call("POST", "/subscribers/batch", many(1_001))).status).toBe(422);
  expect((await grace.call("POST", "/subscribers/batch", many(0))).status).toBe(422);
  expect((await grace.call("POST", "/subscribers/batch", many(1)["subscribers"])).status).toBe(422);
  const answer = await grace.call("POST", "/subscribers/batch", many(1_000));
  expect(answer.json.data.map(({ status }: { status: number }) => status)).toEqual(Array(1_000).fill(201));
  expect((await grace.call("GET", "/subscribers?limit=1")).json.count).toBe(1_000);
});

test("a batch of which nothing can be taken just now is answered 503", async () => {
  const unavailable = () => Promise.reject(new DomainError("unavailable", "not now", { retryAfterS: 1 }));
  const server = await startApi({
    acceptance: {
      createSubscriber: (input) =>
        input.email.startsWith("first") ? Promise.resolve({ kind: "email_taken" }) : unavailable(),
      changeSubscriber: unavailable,
      deleteSubscriber: unavailable,
      publishEvent: unavailable,
    },
  });
  try {
    const { call } = await server.account();
    const batch = (...emails: string[]) =>
      call("POST", "/subscribers/batch", { subscribers: emails.map((email) => ({ email })) });
    const none = await batch("a@example.com", "b@example.com");
    expect([none.status, none.headers.get("retry-after")]).toEqual([503, "1"]);
    const some = await batch("first@example.com", "b@example.com");
    expect(some.json.data.map(({ status }: { status: number }) => status)).toEqual([409, 503]);
  } finally {
    await server.stop();
  }
});

/** Sends no more than `text`. */
function half(url: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port) }, () => socket.write(text));
    socket.on("data", (answer) => resolve(String(answer)));
    socket.on("close", () => resolve("closed"));
  });
}

test("a batch is answered, however long it takes: only a connection on which nothing moves is closed", async () => {
  const { promise: created, reject: refuse } = Promise.withResolvers<never>();
  const slow = await startApi(
    {
      acceptance: { createSubscriber: () => created } as unknown as ApiDeps["acceptance"],
      readiness: { postgres: () => new Promise(() => {}), nats: () => Promise.resolve(true) },
    },
    { idleTimeout: 1 },
  );
  const grace = await slow.account();
  const batch = grace.call("POST", "/subscribers/batch", { subscribers: [{ email: "late@example.com" }] });
  const closed = await Promise.all([
    half(slow.url, "POST /api/v1/subscribers/batch HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n{"),
    slow.call("GET", "//ready").catch(() => "closed"),
  ]);
  expect(closed).toEqual(["closed", "closed"]);
  refuse(new DomainError("conflict", "taken"));
  expect((await batch).json).toMatchObject({ data: [{ status: 409 }] });
  await slow.stop();
});
