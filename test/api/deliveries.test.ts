import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;
let webhookId: string;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
  webhookId = (await ada.call("POST", "/webhooks", { url: "https://example.com/", events: ["*"] })).json.id;
});
afterAll(() => api.stop());

async function newDelivery(type = "a"): Promise<string> {
  const event = await ada.call("POST", "/events", { type, data: {} });
  return (await ada.call("GET", `/events/${event.json.id}`)).json.deliveries[0].id;
}

const ended = (id: string, status: string) => api.db.sql`UPDATE deliveries
  SET status = ${status}, attempt_count = 3, completed_at = now(), stream_seq = 7, last_error = 'HTTP 500' WHERE id = ${id}`;

test("a delivery has the contract's fields, and its attempts in order", async () => {
  const id = await newDelivery();
  await api.db.sql`INSERT INTO attempts (id, delivery_id, attempt, status_code, latency_ms, error, response_body)
    VALUES (delivery_id_of(${id}), ${id}, 2, NULL, 9, 'timeout', NULL), (delivery_id_of(${id}), ${id}, 1, 500, 12, 'HTTP 500', 'oops')`;
  const { json } = await ada.call("GET", `/deliveries/${id}`);
  expect(Object.keys(json).join()).toBe(
    "id,event_id,event_type,webhook_id,user_id,status,priority,attempt_count,next_attempt_at,last_error,created_at,completed_at,attempts",
  );
  expect(json.attempts).toMatchObject([
    { attempt: 1, status_code: 500, latency_ms: 12, error: "HTTP 500", response_body: "oops" },
    { attempt: 2, status_code: null, error: "timeout", response_body: null },
  ]);
});

test("the next attempt is known while it is pending", async () => {
  const id = await newDelivery();
  const next = async () => (await ada.call("GET", `/deliveries/${id}`)).json;
  await api.db.sql`UPDATE deliveries SET stream_seq = 1, due_at = '2100-01-01Z' WHERE id = ${id}`;
  expect((await next()).next_attempt_at).toBe((await next()).created_at);
  await api.db.sql`UPDATE deliveries SET attempt_count = 1 WHERE id = ${id}`;
  expect((await next()).next_attempt_at).toBe("2100-01-01T00:00:00.000Z");
  await ended(id, "failed");
  expect((await next()).next_attempt_at).toBeNull();
});

test("the next attempt is not before the endpoint's gate opens, in every answer", async () => {
  const { json: event } = await ada.call("POST", "/events", { type: "gated", data: {} });
  const nextOfAll = async () => {
    const { deliveries } = (await ada.call("GET", `/events/${event.id}`)).json;
    const one = await ada.call("GET", `/deliveries/${deliveries[0].id}`);
    const list = await ada.call("GET", "/deliveries?event_type=gated");
    const all = [...deliveries, one.json, ...list.json.data].map(({ next_attempt_at }) => next_attempt_at);
    return { id: deliveries[0].id, all };
  };
  const gate = (openUntil: string) =>
    api.db.sql`UPDATE endpoints SET open_until = ${openUntil}::timestamptz WHERE webhook_id = ${webhookId}`;
  const { id } = await nextOfAll();
  await gate("2100-01-01Z");
  await api.db.sql`UPDATE deliveries SET stream_seq = 1, attempt_count = 1, due_at = '2099-01-01Z' WHERE id = ${id}`;
  expect((await nextOfAll()).all).toEqual(Array.from({ length: 3 }, () => "2100-01-01T00:00:00.000Z"));
  await gate("2000-01-01Z");
  expect((await nextOfAll()).all).toEqual(Array.from({ length: 3 }, () => "2099-01-01T00:00:00.000Z"));
  await gate("2100-01-01Z");
  await ended(id, "failed");
  expect((await nextOfAll()).all).toEqual([null, null, null]);
  expect((await ada.call("POST", `/deliveries/${id}/retry`)).json.next_attempt_at).toBe("2100-01-01T00:00:00.000Z");
  await gate("2000-01-01Z");
});

test("the list is filtered and paged", async () => {
  const first = await newDelivery("listed");
  const second = await newDelivery("listed");
  await ended(first, "failed");
  const ids = async (query: string) =>
    (await ada.call("GET", `/deliveries?event_type=listed&${query}`)).json.data.map(({ id }: { id: string }) => id);
  expect(await ids("")).toEqual([second, first]);
  expect(await ids("status=failed")).toEqual([first]);
  expect(await ids(`webhook_id=${webhookId}&limit=1`)).toEqual([second]);
  expect(await ids(`webhook_id=${Bun.randomUUIDv7()}`)).toEqual([]);
  const { next_cursor } = (await ada.call("GET", "/deliveries?event_type=listed&limit=1")).json;
  expect(await ids(`cursor=${next_cursor}`)).toEqual([first]);
});

test("a long page, which is read in pieces, has everything once and in order, and so has what follows", async () => {
  const grace = await api.account();
  const webhook = (await grace.call("POST", "/webhooks", { url: "http://127.0.0.1:9/", events: ["*"] })).json;
  const count = 330;
  await Promise.all(Array.from({ length: count }, () => grace.call("POST", "/events", { type: "a", data: {} })));
  for (const list of ["/deliveries", `/deliveries?webhook_id=${webhook.id}`, "/events"]) {
    const page = async (query: string) =>
      (await grace.call("GET", `${list}${list.includes("?") ? "&" : "?"}${query}`)).json;
    const ids = ({ data }: { data: { id: string }[] }) => data.map(({ id }) => id);
    const [whole, first] = [await page("limit=1000"), await page("limit=230")];
    expect(new Set(ids(whole)).size).toBe(count);
    expect(ids(whole)).toEqual(ids(whole).toSorted().toReversed());
    expect(whole.next_cursor).toBeNull();
    const second = await page(`limit=230&cursor=${first.next_cursor}`);
    expect([...ids(first), ...ids(second)]).toEqual(ids(whole));
    expect([first.data.length, second.next_cursor]).toEqual([230, null]);
  }
});

test.each(["status=gone", "webhook_id=1", "event_type=A", "limit=0", "cursor=x", "after=x"])(
  "%s is refused",
  async (query) => {
    const answer = await ada.call("GET", `/deliveries?${query}`);
    expect(answer.status).toBe(422);
    expect(answer.json.errors[0].path).toBe(`query.${query.split("=")[0]}`);
  },
);

test.each(["failed", "cancelled", "delivered"])("a %s one is sent again on demand", async (status) => {
  const id = await newDelivery();
  expect((await ada.call("POST", `/deliveries/${id}/retry`)).status).toBe(409);
  await ended(id, status);
  const again = await ada.call("POST", `/deliveries/${id}/retry`);
  expect(again.status).toBe(202);
  expect(again.json).toMatchObject({ id, status: "pending", priority: "low", attempt_count: 3, completed_at: null });
  const [row] = await api.db.sql`SELECT generation, schedule_base, stream_seq FROM deliveries WHERE id = ${id}`;
  expect(row).toEqual({ generation: 1, schedule_base: 3, stream_seq: null });
});

test("the attempt that delivered it is listed among the others, and kept when it is sent again", async () => {
  const id = await newDelivery();
  await api.db.sql`INSERT INTO attempts (id, delivery_id, attempt, latency_ms, error)
    VALUES (delivery_id_of(${id}), ${id}, 1, 12, 'timeout'), (delivery_id_of(${id}), ${id}, 3, 12, 'timeout')`;
  await api.db.sql`UPDATE deliveries SET status = 'delivered', completed_at = '2026-01-02T03:04:05.678Z',
    delivering_id = ${Bun.randomUUIDv7()}, delivering_attempt = 2, delivering_status_code = 201,
    delivering_latency_ms = 7, delivering_response_body = 'thanks' WHERE id = ${id}`;
  const attempts = async () => (await ada.call("GET", `/deliveries/${id}`)).json.attempts;
  const listed = await attempts();
  expect(listed.map(({ attempt }: { attempt: number }) => attempt)).toEqual([1, 2, 3]);
  expect(listed[1]).toEqual({
    attempt: 2,
    status_code: 201,
    error: null,
    latency_ms: 7,
    response_body: "thanks",
    created_at: "2026-01-02T03:04:05.678Z",
  });
  expect((await ada.call("POST", `/deliveries/${id}/retry`)).status).toBe(202);
  expect(await attempts()).toEqual(listed);
  const [row] = await api.db.sql`SELECT delivering_id FROM deliveries WHERE id = ${id}`;
  expect(row).toEqual({ delivering_id: null });
});

test("retries at once start one schedule", async () => {
  const id = await newDelivery();
  await ended(id, "failed");
  const answers = await Promise.all(Array.from({ length: 5 }, () => ada.call("POST", `/deliveries/${id}/retry`)));
  expect(
    answers
      .map(({ status }) => String(status))
      .toSorted()
      .join(),
  ).toBe("202,409,409,409,409");
});

test("nothing is sent again to a webhook that is off or deleted, and its deliveries stay readable", async () => {
  const id = await newDelivery();
  await ended(id, "failed");
  await ada.call("PATCH", `/webhooks/${webhookId}`, { is_active: false });
  expect((await ada.call("POST", `/deliveries/${id}/retry`)).status).toBe(409);
  await ada.call("DELETE", `/webhooks/${webhookId}`);
  expect((await ada.call("POST", `/deliveries/${id}/retry`)).status).toBe(409);
  expect((await ada.call("GET", `/deliveries/${id}`)).json.webhook_id).toBe(webhookId);
});
