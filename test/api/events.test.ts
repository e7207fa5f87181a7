import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

describe("publishing", () => {
  test("keeps the data byte for byte", async () => {
    const data = `{"2": 12345678901234567890,"1":[1.0 ,null]}`;
    const event = await ada.call("POST", "/events", `{"data":${data},"type":"order.paid","priority":"low"}`);
    expect(event.status).toBe(202);
    expect(event.json).toMatchObject({ type: "order.paid", priority: "low", user_id: ada.id });
    expect(event.text).toContain(data);
    const rows = await api.db.sql`SELECT payload FROM events WHERE id = ${event.json.id}`;
    expect(rows[0]?.["payload"]).toBe(`{"type":"order.paid","timestamp":"${event.json.created_at}","data":${data}}`);
  });

  test("takes any type but those below subscriber and webhook", async () => {
    for (const type of ["subscriber", "webhook", "subscribers.created"]) {
      expect((await ada.call("POST", "/events", { type, data: {} })).status).toBe(202);
    }
  });

  test.each(["null", "false", "0", `"x"`, "[]"])("takes %s as data", async (data) => {
    const event = await ada.call("POST", "/events", `{"type":"a","data":${data}}`);
    expect([event.status, event.json.data]).toEqual([202, JSON.parse(data)]);
  });

  test.each([
    [`{"type":"subscriber.created","data":{}}`, "body.type"],
    [`{"type":"webhook.test","data":{}}`, "body.type"],
    [`{"type":"Order","data":{}}`, "body.type"],
    [`{"type":"a.*","data":{}}`, "body.type"],
    [`{"type":"a"}`, "body.data"],
    [`{"type":"a","data":1,"priority":"urgent"}`, "body.priority"],
    [`{"type":"a","data":"${"x".repeat(256 * 1024)}"}`, "body.data"],
    [`{"type":"a","data":${"[".repeat(200)}${"]".repeat(200)}}`, undefined],
  ])("refuses %.40s", async (body, path) => {
    const answer = await ada.call("POST", "/events", body);
    expect(answer.status).toBe(422);
    if (path !== undefined) expect(answer.json.errors[0].path).toBe(path);
  });
});

describe("the list", () => {
  test("pages newest first, to the end", async () => {
    const grace = await api.account();
    const sent: string[] = [];
    for (const type of ["a", "b", "a", "c", "a"]) {
      sent.unshift((await grace.call("POST", "/events", { type, data: {} })).json.id);
    }
    const seen: string[] = [];
    let query = "?limit=2";
    for (let page = 0; page < 3; page += 1) {
      const { json } = await grace.call("GET", `/events${query}`);
      seen.push(...json.data.map(({ id }: { id: string }) => id));
      query = `?limit=2&cursor=${json.next_cursor}`;
      expect(json.next_cursor === null).toBe(page === 2);
    }
    expect(seen).toEqual(sent);
    expect((await grace.call("GET", "/events?type=a")).json.data).toHaveLength(3);
  });

  test("after and before are exclusive, in the milliseconds that are shown", async () => {
    const grace = await api.account();
    const { created_at, id } = (await grace.call("POST", "/events", { type: "a", data: {} })).json;
    const ids = async (query: string) =>
      (await grace.call("GET", `/events?${query}`)).json.data.map((event: { id: string }) => event.id);
    const shifted = (ms: number) => new Date(Date.parse(created_at) + ms).toISOString();
    expect(await ids(`after=${created_at}`)).toEqual([]);
    expect(await ids(`before=${created_at}`)).toEqual([]);
    expect(await ids(`after=${shifted(-1)}&before=${shifted(1)}`)).toEqual([id]);
    expect(await ids(`after=0001-01-01T00:00:00Z&before=9999-12-31T23:59:59%2B00:00`)).toEqual([id]);
  });

  test("ends a page early where events are large", async () => {
    const grace = await api.account();
    const data = "x".repeat(250 * 1024);
    for (let sent = 0; sent < 20; sent += 1) await grace.call("POST", "/events", { type: "a", data });
    const first = (await grace.call("GET", "/events")).json;
    expect(first.data.length).toBeWithin(15, 19);
    const rest = (await grace.call("GET", `/events?cursor=${first.next_cursor}`)).json;
    expect([first.data.length + rest.data.length, rest.next_cursor]).toEqual([20, null]);
  });

  test.each([
    "cursor=abc",
    "cursor=",
    "after=yesterday",
    "before=0000-01-01T00:00:00Z",
    "after=2025-13-01T00:00:00Z",
    "before=2026-02-31T00:00:00Z",
    "before=2026-02-29T00:00:00Z",
    "after=2026-01-01T24:00:00Z",
    "before=9999-12-31T23:59:59-12:00",
  ])("refuses %s", async (query) => {
    const answer = await ada.call("GET", `/events?${query}`);
    expect(answer.status).toBe(422);
    expect(answer.json.errors[0].path).toBe(`query.${query.split("=")[0]}`);
  });
});

test("the catalogue has an example of each type", async () => {
  const { json } = await ada.call("GET", "/event-types");
  expect(json.count).toBe(json.data.length);
  for (const { type, example } of json.data) expect(example.type).toBe(type);
});
