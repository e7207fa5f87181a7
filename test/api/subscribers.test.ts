import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

test("custom fields come back byte for byte", async () => {
  const text = `{"z": 12345678901234567890, "2":1.10,"1":{"b":1,"a":[1e2]}}`;
  const created = await ada.call("POST", "/subscribers", `{"email":"a@example.com","custom_fields":${text}}`);
  expect(created.status).toBe(201);
  const { id } = created.json;
  const answers = [created, await ada.call("GET", `/subscribers/${id}`), await ada.call("GET", "/subscribers")];
  for (const answer of answers) expect(answer.text).toContain(text);
  const events = await ada.call("GET", "/events?type=subscriber.created");
  expect(events.text).toContain(text);
  expect((await ada.call("PATCH", `/subscribers/${id}`, `{"first_name":"A"}`)).text).toContain(text);
  const changed = await ada.call("PATCH", `/subscribers/${id}`, `{"custom_fields":{"2":0,"1":9007199254740993}}`);
  expect(changed.text).toContain(`"custom_fields":{"2":0,"1":9007199254740993}`);
});

test("an e-mail is on a list once, ignoring case", async () => {
  const grace = await api.account();
  const first = await grace.call("POST", "/subscribers", { email: "One@example.com" });
  expect((await grace.call("POST", "/subscribers", { email: "oNE@example.com" })).status).toBe(409);
  const second = await grace.call("POST", "/subscribers", { email: "two@example.com" });
  expect((await grace.call("PATCH", `/subscribers/${second.json.id}`, { email: "ONE@example.com" })).status).toBe(409);
  expect((await grace.call("DELETE", `/subscribers/${first.json.id}`)).status).toBe(204);
  expect((await grace.call("GET", `/subscribers/${first.json.id}`)).status).toBe(404);
  expect((await grace.call("POST", "/subscribers", { email: "one@example.com" })).status).toBe(201);
});

test("a superuser may fill another's list, nobody else", async () => {
  const grace = await api.account();
  const root = await api.superuser();
  const onto = (user_id: string) => ({ email: `${Bun.randomUUIDv7()}@example.com`, user_id });
  const created = await root.call("POST", "/subscribers", onto(grace.id.toUpperCase()));
  expect(created.json.user_id).toBe(grace.id);
  expect((await grace.call("GET", `/subscribers/${created.json.id}`)).status).toBe(200);
  expect((await root.call("GET", `/subscribers/${created.json.id}`)).status).toBe(404);
  expect((await root.call("POST", "/subscribers", onto(Bun.randomUUIDv7()))).status).toBe(404);
  expect((await ada.call("POST", "/subscribers", onto(grace.id))).status).toBe(404);
  expect((await ada.call("POST", "/subscribers", onto("me"))).status).toBe(422);
});

test("lists are filtered, and count all that match", async () => {
  const grace = await api.account();
  const add = (fields: object) => grace.call("POST", "/subscribers", fields);
  await add({ email: "ada@example.com", first_name: "Ada", last_name: "Lovelace", tags: ["vip", "a,b"] });
  await add({ email: "al_an@example.com", first_name: "Alan", tags: ["vip", "vip"] });
  await add({ email: "alxan@example.com", status: "bounced" });
  const list = async (query: string) => {
    const { json } = await grace.call("GET", `/subscribers?${query}`);
    return [json.count, json.data.map(({ email }: { email: string }) => email)];
  };
  expect(await list("search=ADA%20love")).toEqual([1, ["ada@example.com"]]);
  expect(await list("search=al_an")).toEqual([1, ["al_an@example.com"]]);
  expect(await list("search=%25")).toEqual([0, []]);
  expect(await list("tag=vip&limit=1")).toEqual([2, ["al_an@example.com"]]);
  expect(await list("tag=a%2Cb")).toEqual([1, ["ada@example.com"]]);
  expect(await list("status=bounced")).toEqual([1, ["alxan@example.com"]]);
  expect(await list("skip=3")).toEqual([3, []]);
});

test("a page of very large ones is refused with the limit that goes through; nobody is left out unsaid", async () => {
  const grace = await api.account();
  await api.db.sql`INSERT INTO subscribers (id, user_id, email, tags, custom_fields, status)
    SELECT gen_random_uuid(), ${grace.id}, n || '@example.com', '{}', json_build_object('a', repeat('x', 256 * 1024 - 100)), 'active'
    FROM generate_series(1, 150) n`;
  const refused = await grace.call("GET", "/subscribers?limit=1000");
  expect([refused.status, refused.json.errors[0].path]).toEqual([422, "query.limit"]);
  const limit = Number(/up to (\d+)$/.exec(refused.json.detail)?.[1]);
  expect(limit).toBeGreaterThanOrEqual(100);
  const emails = new Set<string>();
  for (let skip = 0; skip < 150; skip += limit) {
    const { json } = await grace.call("GET", `/subscribers?limit=${limit}&skip=${skip}`);
    for (const { email } of json.data) emails.add(email);
  }
  expect(emails.size).toBe(150);
});

test.each([
  ["GET", "?status=gone", undefined, "query.status"],
  ["GET", "?limit=0", undefined, "query.limit"],
  ["GET", "?limit=1001", undefined, "query.limit"],
  ["GET", "?limit=1e2", undefined, "query.limit"],
  ["GET", "?skip=-1", undefined, "query.skip"],
  ["GET", "?skip=9999999999", undefined, "query.skip"],
  ["GET", "?search=%00", undefined, "query.search"],
  ["POST", "", { email: "no" }, "body.email"],
  ["POST", "", { email: "b@example.com", tags: [""] }, "body.tags.0"],
  ["POST", "", { email: "b@example.com", status: "gone" }, "body.status"],
  ["POST", "", { email: "b@example.com", custom_fields: [] }, "body.custom_fields"],
  ["POST", "", { email: "b@example.com", custom_fields: { a: "x".repeat(300_000) } }, "body.custom_fields"],
  ["POST", "", `{"email":"b@example.com","custom_fields":{"a":{"b":1e999}}}`, "body.custom_fields.a.b"],
  ["POST", "", `{"email":"b@example.com","custom_fields":{"\\u0000":1}}`, "body.custom_fields"],
  ["POST", "", `{"email":"b@example.com","tags":["\\udc00"]}`, "body.tags.0"],
] as const)("%s /subscribers%s with %j is refused", async (method, query, body, path) => {
  const answer = await ada.call(method, `/subscribers${query}`, body);
  expect(answer.status).toBe(422);
  expect(answer.json.errors.map((error: { path: string }) => error.path)).toContain(path);
});

test("lengths are counted in characters, not in the units of a JavaScript string", async () => {
  const grace = await api.account();
  const long = (length: number) => "\u{1F600}".repeat(length);
  const named = (first_name: string, tag: string) => ({
    email: `${Bun.randomUUIDv7()}@example.com`,
    first_name,
    tags: [tag],
  });
  const created = await grace.call("POST", "/subscribers", named(long(255), long(100)));
  expect(created.json).toMatchObject({ first_name: long(255), tags: [long(100)] });
  expect((await grace.call("POST", "/subscribers", named(long(256), "x"))).json.errors[0].path).toBe("body.first_name");
  expect((await grace.call("POST", "/subscribers", named("x", long(101)))).json.errors[0].path).toBe("body.tags.0");
  const found = (length: number) => grace.call("GET", `/subscribers?search=${encodeURIComponent(long(length))}`);
  expect([(await found(200)).json.count, (await found(201)).status]).toEqual([1, 422]);
  const signUp = (password: string) =>
    api.call("POST", "/users/", { email: `${Bun.randomUUIDv7()}@example.com`, password });
  expect([(await signUp(long(7))).status, (await signUp(long(128))).status]).toEqual([422, 201]);
});

test("a PATCH publishes what changed, and nothing for nothing", async () => {
  const grace = await api.account();
  const { id } = (await grace.call("POST", "/subscribers", { email: "p@example.com", tags: ["old"] })).json;
  const types = async () => {
    const { data } = (await grace.call("GET", "/events")).json;
    return data.map(({ type }: { type: string }) => type).toReversed();
  };
  await grace.call("PATCH", `/subscribers/${id}`, {});
  expect(await types()).toEqual(["subscriber.created"]);
  await grace.call("PATCH", `/subscribers/${id}`, { status: "unsubscribed", tags: ["new"] });
  await grace.call("DELETE", `/subscribers/${id}`);
  expect((await types()).slice(1).toSorted()).toEqual([
    "subscriber.deleted",
    "subscriber.tag_added",
    "subscriber.tag_removed",
    "subscriber.unsubscribed",
    "subscriber.updated",
  ]);
});

describe("a change of so many tags that its events would take seconds to write", () => {
  const tags = (from: number, count: number) => Array.from({ length: count }, (_, index) => `tag ${from + index}`);
  const add = async (grace: Account, custom_fields: object): Promise<string> =>
    (await grace.call("POST", "/subscribers", { email: "t@example.com", tags: tags(0, 100), custom_fields })).json.id;
  const refusedWith = async (grace: Account, id: string): Promise<number> => {
    const refused = await grace.call("PATCH", `/subscribers/${id}`, { tags: tags(100, 100), first_name: "Ada" });
    expect([refused.status, refused.json.errors[0].path]).toEqual([422, "body.tags"]);
    expect((await grace.call("GET", `/subscribers/${id}`)).json).toMatchObject({
      tags: tags(0, 100),
      first_name: null,
    });
    return Number(/up to (\d+) tags/.exec(refused.json.detail)?.[1]);
  };
  const unsubscribed = { status: "unsubscribed" };

  test("for many webhooks is refused, with the number that goes through", async () => {
    const grace = await api.account();
    const urls = Array.from({ length: 100 }, (_, index) => `http://127.0.0.1:9/${index}`);
    const events = ["subscriber.tag_added"];
    await Promise.all(urls.map((url) => grace.call("POST", "/webhooks", { url, events })));
    const id = await add(grace, {});
    const most = await refusedWith(grace, id);
    expect(most).toBe(98);
    const change = { tags: tags(most / 2, 100), ...unsubscribed };
    expect((await grace.call("PATCH", `/subscribers/${id}`, change)).status).toBe(200);
    const { data } = (await grace.call("GET", "/events?limit=1000")).json;
    expect(data).toHaveLength(1 + 2 + most);
  });

  test("with large custom fields is refused too; a few of those are not", async () => {
    const grace = await api.account();
    const id = await add(grace, { large: "x".repeat(256 * 1024 - 100) });
    const most = await refusedWith(grace, id);
    expect(most).toBeGreaterThan(20);
    expect((await grace.call("PATCH", `/subscribers/${id}`, { tags: tags(most, 100 - most) })).status).toBe(200);
  });
});
