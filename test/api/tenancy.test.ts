// Whatever belongs to one account does not exist for another, a superuser included.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;
let others: Account[];
let paths: Record<string, string>;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
  others = [await api.account(), await api.superuser()];
  const webhook = (await ada.call("POST", "/webhooks", { url: "https://example.com/", events: ["*"] })).json.id;
  const subscriber = (await ada.call("POST", "/subscribers", { email: "s@example.com" })).json.id;
  const event = (await ada.call("POST", "/events", { type: "order.paid", data: 1 })).json.id;
  const delivery = (await ada.call("GET", `/events/${event}`)).json.deliveries[0].id;
  await api.db.sql`UPDATE deliveries SET status = 'failed' WHERE id = ${delivery}`;
  paths = {
    webhook: `/webhooks/${webhook}`,
    subscriber: `/subscribers/${subscriber}`,
    event: `/events/${event}`,
    delivery: `/deliveries/${delivery}`,
    user: `/users/${ada.id}`,
  };
});
afterAll(() => api.stop());

test.each([
  ["GET", "webhook", ""],
  ["PATCH", "webhook", ""],
  ["DELETE", "webhook", ""],
  ["GET", "webhook", "/secret"],
  ["POST", "webhook", "/test"],
  ["GET", "subscriber", ""],
  ["PATCH", "subscriber", ""],
  ["DELETE", "subscriber", ""],
  ["GET", "event", ""],
  ["GET", "delivery", ""],
  ["POST", "delivery", "/retry"],
])("%s of another's %s%s is 404", async (method, kind, rest) => {
  for (const other of others) {
    const answer = await other.call(method, `${paths[kind]}${rest}`, method === "PATCH" ? {} : undefined);
    expect(answer.status).toBe(404);
  }
});

test.each(["GET", "PATCH", "DELETE"])("%s of another user is 404 to all but a superuser", async (method) => {
  const answer = await others[0]?.call(
    method,
    paths["user"] ?? "",
    method === "PATCH" ? { full_name: "x" } : undefined,
  );
  expect(answer?.status).toBe(404);
});

test("lists hold one's own, for a superuser too", async () => {
  for (const other of others) {
    for (const list of ["/webhooks?include_inactive=true", "/subscribers", "/events", "/deliveries"]) {
      expect((await other.call("GET", list)).json.data).toEqual([]);
    }
  }
});

test("and nothing of it changed", async () => {
  for (const path of Object.values(paths)) expect((await ada.call("GET", path)).status).toBe(200);
  expect((await ada.call("GET", paths["delivery"] ?? "")).json.status).toBe("failed");
});
