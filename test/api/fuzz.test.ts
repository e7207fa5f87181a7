// Walks the documented operations and sends what they did not ask for: wrong types, huge values, strangers' ids. No
// answer may be a 5xx, and every refusal is a problem. Seeded; a failure names the request.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { seededRandom } from "../../src/lib/random.ts";
import { type Account, type ApiServer, startApi } from "./api-server.ts";
import { type Operation, operationsOf } from "./operations.ts";

const REQUESTS_PER_OPERATION = 60;
const SEED = 20_250_601;

/** JSON texts: JSON.stringify could not say all of them. */
const VALUES = [
  "null",
  "true",
  "0",
  "-1",
  "1.5",
  "2147483648",
  "-9223372036854775809",
  "1e308",
  "1e999",
  "123456789012345678901234567890",
  `""`,
  `" "`,
  `"3"`,
  `"\\u0000"`,
  `"\\ud800"`,
  `"😀"`,
  `"${"x".repeat(5_000)}"`,
  `"'; DROP TABLE users; --"`,
  `"%s\\\\"`,
  `"NaN"`,
  `"https://example.com/${"y".repeat(3_000)}"`,
  "[]",
  "[null]",
  `["*", "a.b"]`,
  `[["a"]]`,
  "{}",
  `{"__proto__":{"is_superuser":true}}`,
  `{"a":{"b":[1,{"c":null}]}}`,
  `{"toString":1,"constructor":2}`,
  `${"[".repeat(5_000)}${"]".repeat(5_000)}`,
];
const TEXTS = [
  "",
  "0",
  "-1",
  "1e3",
  "99999999999999999999",
  "NaN",
  "true",
  "null",
  "%00",
  "%FF",
  "%F0%9F%98%80",
  "2025-02-31T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "0001-01-01T00:00:00-23:59",
  "a,b",
  "'",
  "%25%5C_",
  "a.b",
  "x".repeat(300),
  "MDE5",
];

let api: ApiServer;
let ada: Account;
let strangersIds: string[];
let operations: Operation[];
const random = seededRandom(SEED);
const oneOf = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
  const stranger = await api.account();
  const webhook = await stranger.call("POST", "/webhooks", { url: "https://example.com/", events: ["*"] });
  const event = await stranger.call("POST", "/events", { type: "a", data: 1 });
  const { deliveries } = (await stranger.call("GET", `/events/${event.json.id}`)).json;
  strangersIds = [stranger.id, webhook.json.id, event.json.id, deliveries[0].id, Bun.randomUUIDv7()];
  operations = operationsOf((await api.call("GET", "//docs/json")).json);
});
afterAll(() => api.stop());

function bodyFor({ operation }: Operation): string | undefined {
  const [content] = Object.values(operation.requestBody?.content ?? {});
  if (content === undefined) return undefined;
  if (random() < 0.1) return oneOf(VALUES);
  const names = [...Object.keys(content.schema?.properties ?? {}), "unknown"];
  const members = new Map(Object.entries(content.example ?? {}).map(([key, item]) => [key, JSON.stringify(item)]));
  const changes = 1 + Math.floor(random() * 2);
  for (let change = 0; change < changes; change += 1) members.set(oneOf(names), oneOf(VALUES));
  return `{${[...members].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
}

function pathFor({ path, operation }: Operation): string {
  const id = () => (random() < 0.7 ? oneOf(strangersIds) : encodeURI(oneOf(TEXTS)) || "x");
  const query = (operation.parameters ?? [])
    .filter((parameter) => parameter.in === "query" && random() < 0.5)
    .map(({ name }) => `${name}=${oneOf([...TEXTS, ...strangersIds])}`);
  return `/${path.replace("{id}", id)}${query.length === 0 ? "" : `?${query.join("&")}`}`;
}

test("no operation fails, and every refusal is a problem", async () => {
  let refused = 0;
  for (const operation of operations) {
    if (operation.operation.operationId === "delete_me") continue;
    for (let request = 0; request < REQUESTS_PER_OPERATION; request += 1) {
      const path = pathFor(operation);
      const body = bodyFor(operation);
      const answer = await ada.call(operation.method, path, body);
      const said = `${operation.method} ${path} ${body?.slice(0, 300)} -> ${answer.status} ${answer.text.slice(0, 300)}`;
      if (answer.status >= 500) throw new Error(said);
      if (answer.status < 400) continue;
      refused += 1;
      if (answer.headers.get("content-type") !== "application/problem+json") throw new Error(said);
      if (answer.json.status !== answer.status || answer.json.detail === "") throw new Error(said);
    }
  }
  expect(refused).toBeGreaterThan(500);
  expect((await ada.call("GET", "/users/me")).json).toMatchObject({ is_superuser: false, is_active: true });
});

test("nothing of the stranger's has changed", async () => {
  const [row] = await api.db.sql`SELECT w.is_active, w.deleted_at, d.status FROM webhooks w
    JOIN deliveries d ON d.webhook_id = w.id WHERE w.id = ${strangersIds[1] ?? ""}`;
  expect(row).toMatchObject({ is_active: true, deleted_at: null, status: "pending" });
});
