import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDatabase } from "../../src/db/database.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

const TOO_LARGE = "x".repeat(1024 * 1024 + 1);

describe("a body", () => {
  test("of more than 1 MiB is 413, announced or not", async () => {
    expect((await ada.call("POST", "/events", TOO_LARGE)).status).toBe(413);
    expect((await api.call("POST", "/login/access-token", TOO_LARGE)).status).toBe(413);
    const chunked = await fetch(`${api.url}/api/v1/webhooks/test`, {
      method: "POST",
      body: new ReadableStream({
        start(controller) {
          for (let chunk = 0; chunk < 17; chunk += 1) controller.enqueue(new Uint8Array(64 * 1024));
          controller.close();
        },
      }),
    });
    expect(chunked.status).toBe(413);
    expect(chunked.headers.get("content-type")).toBe("application/problem+json");
  });

  test.each(["{", "\u00a0{}", "nonsense", `{"a":1}}`, `{'a':1}`, "[1,]", "\ufeff{", "NaN"])(
    "of %p is malformed",
    async (body) => {
      const answer = await ada.call("POST", "/events", body);
      expect([answer.status, answer.json.type]).toEqual([400, "/problems/malformed"]);
    },
  );

  test("that is not UTF-8 is malformed", async () => {
    const headers = { authorization: `Bearer ${ada.token}` };
    const body = new Uint8Array([0x22, 0xff, 0x22]);
    expect((await fetch(`${api.url}/api/v1/events`, { method: "POST", headers, body })).status).toBe(400);
  });

  test.each(["", "null", "[]", "1"])("of %p is no object", async (body) => {
    expect((await ada.call("POST", "/events", body === "" ? undefined : body)).status).toBe(422);
  });

  test.each([
    ["NUL", String.raw`{"a":"\u0000","a":1}`],
    ["a lone surrogate, in a name", String.raw`{"a":{"\ud800":1},"a":2}`],
    ["a number beyond all bounds", `{"a":[1e999],"a":1}`],
    ["too many levels", `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)},"a":1}`],
  ])("cannot hide %s behind a second member of the name", async (_, hidden) => {
    for (const [path, body] of [
      ["/events", `{"type":"a","data":${hidden}}`],
      ["/subscribers", `{"email":"hidden@example.com","custom_fields":${hidden}}`],
    ] as const) {
      const answer = await ada.call("POST", path, body);
      expect([answer.status, answer.json.errors[0].path]).toEqual([422, "body"]);
    }
    const batch = `{"subscribers":[{"email":"hidden@example.com","custom_fields":${hidden}}]}`;
    const { json } = await ada.call("POST", "/subscribers/batch", batch);
    expect([json.data[0].status, json.data[0].error.errors[0].path]).toEqual([422, "body.subscribers.0"]);
  });

  test("may have two members of one name, if nothing of them is wrong: the last counts", async () => {
    const answer = await ada.call("POST", "/events", `{"type":"a","type":"b","data":{"a":1,"a":2}}`);
    expect([answer.status, answer.json.type, answer.json.data]).toEqual([202, "b", { a: 2 }]);
  });

  test("of hundreds of thousands of characters is not tried in as many ways", async () => {
    const email = `a@${"a.".repeat(450_000)}@`;
    for (const path of ["/users/signup", "/subscribers"]) {
      const answer = await ada.call("POST", path, { email, password: "long enough" });
      expect([answer.status, answer.json.errors[0].path]).toEqual([422, "body.email"]);
    }
  });

  test("of many faults is answered with the first of them", async () => {
    const answer = await ada.call("POST", "/webhooks", { url: 1, events: Array(200_000).fill(1) });
    expect([answer.status, answer.json.errors.length]).toEqual([422, 20]);
  });

  test("that no route wants is ignored", async () => {
    const webhook = await ada.call("POST", "/webhooks", { url: "https://example.com/", events: ["*"] });
    expect((await ada.call("POST", `/webhooks/${webhook.json.id}/test`, "{")).status).toBe(202);
  });
});

describe("every answer", () => {
  test("has the request's id, or a new one", async () => {
    const idOf = async (path: string, given: Record<string, string>) =>
      (await api.call("GET", path, undefined, given)).headers.get("x-request-id");
    for (const path of ["//health", "/users/me", "/nowhere", "//docs"]) {
      expect(await idOf(path, { "x-request-id": "abc.1" })).toBe("abc.1");
      expect(await idOf(path, {})).toMatch(/^[0-9a-f-]{36}$/);
      expect(await idOf(path, { "x-request-id": "two words" })).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test("to another method than a path takes is 405, with those that it takes", async () => {
    const id = Bun.randomUUIDv7();
    for (const [method, path, allow] of [
      ["PUT", "/webhooks", "GET, HEAD, POST"],
      ["DELETE", "//health", "GET, HEAD"],
      ["POST", `/webhooks/${id}`, "DELETE, GET, HEAD, PATCH"],
      ["PUT", "/users/?limit=1", "GET, HEAD, POST"],
      ["GET", "/login/access-token", "POST"],
    ] as const) {
      const answer = await ada.call(method, path);
      expect([answer.status, answer.headers.get("allow"), answer.json.type]).toEqual([
        405,
        allow,
        "/problems/method_not_allowed",
      ]);
    }
    expect((await ada.call("GET", "/nowhere")).headers.get("allow")).toBeNull();
    expect((await ada.call("GET", `/deliveries/${id}`)).headers.get("allow")).toBeNull();
  });

  test("to an unknown route is a problem", async () => {
    for (const [method, path] of [
      ["GET", "/nowhere"],
      ["GET", `/webhooks/${Bun.randomUUIDv7()}/nowhere`],
      ["GET", "//"],
      ["GET", "//docs/../../package.json"],
    ] as const) {
      const answer = await api.call(method, path);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
    }
  });

  test("to a wrong field says where it is and what is expected", async () => {
    const detailOf = async (answer: Promise<{ json: { detail: string } }>) => (await answer).json.detail;
    const limit = "query.limit: A whole number from 1 to 1000";
    for (const given of ["0", "-1", "1001", "1.5", "many"]) {
      expect(await detailOf(ada.call("GET", `/webhooks?limit=${given}`))).toBe(limit);
    }
    const text = "A string of up to 255 characters, or null";
    for (const given of [5, "x".repeat(256), [], true]) {
      const subscriber = { email: "a@example.com", first_name: given };
      expect(await detailOf(ada.call("POST", "/subscribers", subscriber))).toBe(`body.first_name: ${text}`);
      expect(await detailOf(ada.call("PATCH", "/users/me", { full_name: given }))).toBe(`body.full_name: ${text}`);
    }
  });

  test("is logged, without the query", async () => {
    await ada.call("GET", "/subscribers?search=private", undefined, { "x-request-id": "logged" });
    await eventually(() => {
      const line = api.logged.find(({ fields }) => fields["request_id"] === "logged");
      const fields = { method: "GET", path: "/api/v1/subscribers", status: 200 };
      expect(line).toMatchObject({ name: "request.answered", fields });
    });
    expect(JSON.stringify(api.logged)).not.toContain("private");
  });
});

test.each(["1", "00000000-0000-0000-0000-00000000000g", "%00", "..%2f", "%E0%A4%A"])("%s is no id", async (id) => {
  for (const resource of ["users", "webhooks", "subscribers", "events", "deliveries"]) {
    const answer = await ada.call("GET", `/${resource}/${id}`);
    expect([answer.status, answer.json.errors[0].path]).toEqual([422, "path.id"]);
  }
});

test("what goes wrong inside stays inside, and is logged", async () => {
  const broken = await startApi({
    checkTarget: () => Promise.reject(new Error("a secret of ours")),
    metrics: () => Promise.reject(new Error("a secret of ours")),
  });
  const grace = await broken.account();
  const created = await grace.call("POST", "/webhooks", { url: "https://example.com/", events: ["*"] });
  const metrics = await broken.call("GET", "//metrics");
  for (const answer of [created, metrics]) {
    expect([answer.status, answer.headers.get("content-type")]).toEqual([500, "application/problem+json"]);
    expect(answer.text).not.toContain("secret");
  }
  const failed = broken.logged.find(({ name }) => name === "request.failed");
  expect(failed?.fields).toMatchObject({ status: 500, path: "/api/v1/webhooks", error: "a secret of ours" });
  await broken.stop();
});

describe("without Postgres", () => {
  const databaseAt = (port: number) =>
    openDatabase({
      url: `postgres://nobody@127.0.0.1:${port}/none`,
      clock: systemClock,
      connectionsMax: 2,
      queryTimeoutMs: 1_000,
      queriesMax: 100,
      applicationName: "api-test",
    });

  test.each(["refuses connections", "does not answer"])("that %s, answers are 503 within 3 s", async (how) => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    if (how === "refuses connections") silent.stop(true);
    const away = databaseAt(silent.port);
    const apart = await startApi({
      db: away,
      settings: { jwtSecret: "the same secret for both of these servers", registration: "open", version: "0" },
      readiness: { postgres: () => Promise.resolve(false), nats: () => Promise.resolve(true) },
    });
    const began = systemClock.monotonic();
    const form = "username=a%40example.com&password=12345678";
    const answer = await apart.call("POST", "/login/access-token", form);
    expect([answer.status, answer.json.type]).toEqual([503, "/problems/unavailable"]);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(systemClock.monotonic() - began).toBeLessThan(3_000);
    const ready = await apart.call("GET", "//ready");
    expect([ready.status, ready.json.detail]).toEqual([503, "No answer from Postgres."]);
    expect((await apart.call("GET", "//health")).status).toBe(200);
    await away.close();
    silent.stop(true);
    await apart.stop();
  });
});
