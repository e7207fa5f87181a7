import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { partitionOf } from "../../src/domain/partition.ts";
import { type Account, type ApiServer, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

let urls = 0;
const someUrl = () => `https://example.com/hooks/${(urls += 1)}`;
const create = (fields: object = {}, account = ada) =>
  account.call("POST", "/webhooks", { url: someUrl(), events: ["*"], ...fields });
const endpointOf = async (id: string) => (await api.db.sql`SELECT * FROM endpoints WHERE webhook_id = ${id}`)[0];

describe("a new webhook", () => {
  test("shows its secret once, and on demand", async () => {
    const created = await create({ unknown: 1 });
    expect(created.status).toBe(201);
    expect(created.json.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { secret, ...rest } = created.json;
    expect((await ada.call("GET", `/webhooks/${created.json.id}`)).json).toEqual(rest);
    expect((await ada.call("GET", `/webhooks/${created.json.id}/secret`)).json).toEqual({ secret });
    expect((await ada.call("GET", "/webhooks")).text).not.toContain("whsec_");
    const rows = await api.db.sql`SELECT ciphertext FROM webhook_secrets WHERE webhook_id = ${created.json.id}`;
    expect(String(rows[0]?.["ciphertext"])).not.toContain(secret.slice(6));
  });

  test("has its endpoint in its partition", async () => {
    const { id } = (await create()).json;
    expect((await endpointOf(id))?.["partition"]).toBe(partitionOf(id));
    expect(api.changedWebhooks).toContain(id);
  });

  test("takes a secret of its owner's", async () => {
    const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
    expect((await create({ secret })).json.secret).toBe(secret);
  });

  test.each([
    [{ url: "https://10.0.0.1/" }, "body.url"],
    [{ url: "ftp://example.com/" }, "body.url"],
    [{ url: "https://a:b@example.com/" }, "body.url"],
    [{ url: 1 }, "body.url"],
    [{ events: [] }, "body.events"],
    [{ events: ["ok", "Not Ok"] }, "body.events.1"],
    [{ events: Array.from({ length: 51 }, (_, index) => `e${index}`) }, "body.events"],
    [{ events: undefined }, "body.events"],
    [{ secret: "whsec_short" }, "body.secret"],
    [{ max_in_flight: 0 }, "body.max_in_flight"],
    [{ max_in_flight: "1" }, "body.max_in_flight"],
    [{ max_in_flight: 1.5 }, "body.max_in_flight"],
    [{ headers: { Host: "evil" } }, "body.headers.Host"],
    [{ headers: { "x-a": 1 } }, "body.headers.x-a"],
    [{ headers: [] }, "body.headers"],
    [{ description: 1 }, "body.description"],
    [{ is_active: null }, "body.is_active"],
  ])("may not have %p", async (fields, path) => {
    const answer = await create(fields);
    expect(answer.status).toBe(422);
    expect(answer.json.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  test("has a URL of its own, in every spelling, in PATCH too", async () => {
    const first = await create({ url: "https://one.example.com/x", is_active: false });
    expect(first.status).toBe(201);
    expect((await create({ url: "HTTPS://ONE.example.com:443/x" })).status).toBe(409);
    const second = await create();
    const change = { url: "https://one.example.com/x" };
    expect((await ada.call("PATCH", `/webhooks/${second.json.id}`, change)).status).toBe(409);
    const grace = await api.account();
    expect((await create({ url: "https://one.example.com/x" }, grace)).status).toBe(201);
    await ada.call("DELETE", `/webhooks/${first.json.id}`);
    expect((await create({ url: "https://one.example.com/x" })).status).toBe(201);
  });

  test("is one of 1,000 at the most, however many are made at once", async () => {
    const grace = await api.account();
    await api.db.sql`INSERT INTO webhooks (id, user_id, url, url_key, events, partition)
      SELECT gen_random_uuid(), ${grace.id}, n::text, n::text, '{*}', 0 FROM generate_series(1, 998) n`;
    const answers = await Promise.all(Array.from({ length: 6 }, () => create({}, grace)));
    expect(
      answers
        .map(({ status }) => String(status))
        .toSorted()
        .join(),
    ).toBe("201,201,409,409,409,409");
  });
});

describe("a webhook", () => {
  test("that is turned off has its deliveries cancelled, and starts afresh when turned on", async () => {
    const { id } = (await create()).json;
    expect((await ada.call("PATCH", `/webhooks/${id}`, { is_active: false })).json.is_active).toBe(false);
    expect((await endpointOf(id))?.["cancel_before"]).toBeDate();
    await api.db.sql`UPDATE webhooks SET disabled_reason = 'gone' WHERE id = ${id}`;
    await api.db.sql`UPDATE endpoints SET circuit = 'open', failures = 5, open_until = now() + interval '1 h'
      WHERE webhook_id = ${id}`;
    expect((await ada.call("GET", `/webhooks/${id}`)).json).toMatchObject({ disabled_reason: "gone", circuit: "open" });
    const on = await ada.call("PATCH", `/webhooks/${id}`, { is_active: true });
    expect(on.json).toMatchObject({ is_active: true, disabled_reason: null, circuit: "closed" });
    expect(await endpointOf(id)).toMatchObject({ failures: 0, open_until: null });
  });

  test("shows how the delivery side fares with it", async () => {
    const { id, circuit, last_success_at } = (await create()).json;
    expect([circuit, last_success_at]).toEqual(["closed", null]);
    await api.db.sql`UPDATE endpoints SET circuit = 'open', open_until = now(), last_success_at = '2026-01-02T03:04:05Z'
      WHERE webhook_id = ${id}`;
    const seen = { circuit: "half_open", last_success_at: "2026-01-02T03:04:05.000Z" };
    expect((await ada.call("GET", `/webhooks/${id}`)).json).toMatchObject(seen);
    expect((await ada.call("PATCH", `/webhooks/${id}`, { description: "d" })).json).toMatchObject(seen);
  });

  test("is the same by its id in capitals, also for the caches that hear of a change", async () => {
    const { id } = (await create()).json;
    const path = `/webhooks/${id.toUpperCase()}`;
    expect((await ada.call("GET", path)).json.id).toBe(id);
    api.changedWebhooks.length = 0;
    await ada.call("PATCH", path, { description: "d" });
    await ada.call("POST", `${path}/rotate-secret`);
    await ada.call("DELETE", path);
    expect(api.changedWebhooks).toEqual([id, id, id]);
  });

  test("keeps what a change does not name", async () => {
    const { id } = (await create({ headers: { "x-a": "1" }, description: "d", max_in_flight: 3 })).json;
    const changed = await ada.call("PATCH", `/webhooks/${id}`, { events: ["a.b", "a.b"], description: null });
    expect(changed.json).toMatchObject({
      events: ["a.b"],
      description: null,
      headers: { "x-a": "1" },
      max_in_flight: 3,
    });
  });

  test("is gone when it is deleted", async () => {
    const { id } = (await create()).json;
    expect((await ada.call("DELETE", `/webhooks/${id}`)).status).toBe(204);
    for (const [method, path] of [
      ["GET", ""],
      ["PATCH", ""],
      ["DELETE", ""],
      ["GET", "/secret"],
      ["POST", "/test"],
      ["POST", "/rotate-secret"],
      ["POST", "/recover"],
    ] as const) {
      const body = method === "PATCH" ? {} : undefined;
      expect((await ada.call(method, `/webhooks/${id}${path}`, body)).status).toBe(404);
    }
    expect((await endpointOf(id))?.["cancel_before"]).toBeDate();
  });

  test("gets a new secret, and the former ones sign for another day, five at most in all", async () => {
    const { id, secret: first } = (await create()).json;
    const rotated = await ada.call("POST", `/webhooks/${id}/rotate-secret`);
    expect([rotated.status, rotated.json.id]).toEqual([200, id]);
    expect(rotated.text).not.toContain("whsec_");
    const { secret: second } = (await ada.call("GET", `/webhooks/${id}/secret`)).json;
    expect(second).not.toBe(first);
    const lives = () => api.db.sql`SELECT round(extract(epoch FROM expires_at - now()) / 3600)::int AS hours
      FROM webhook_secrets WHERE webhook_id = ${id} ORDER BY created_at`;
    expect((await lives()).map((row) => row["hours"] as number | null)).toEqual([24, null]);
    for (let n = 0; n < 6; n += 1) await ada.call("POST", `/webhooks/${id}/rotate-secret`);
    expect((await lives()).map((row) => row["hours"] as number | null)).toEqual([24, 24, 24, 24, null]);
    expect((await (await api.account()).call("POST", `/webhooks/${id}/rotate-secret`)).status).toBe(404);
  });

  test("is marked for recovery, as far back as asked, and not while it is off", async () => {
    const { id } = (await create()).json;
    const recover = (body?: object) => ada.call("POST", `/webhooks/${id}/recover`, body);
    const answer = await recover({ since: "2026-03-01T00:00:00Z" });
    expect([answer.status, answer.json.id]).toEqual([202, id]);
    expect(await endpointOf(id)).toMatchObject({ recover_since: new Date("2026-03-01T00:00:00Z") });
    expect((await endpointOf(id))?.["recover_before"]).toBeDate();
    expect((await recover()).status).toBe(202);
    await recover({ since: "2026-05-01T00:00:00Z" });
    expect(await endpointOf(id)).toMatchObject({ recover_since: new Date("2000-01-01T00:00:00Z") });
    expect((await recover({ since: "yesterday" })).status).toBe(422);
    await ada.call("PATCH", `/webhooks/${id}`, { is_active: false });
    expect((await recover()).status).toBe(409);
  });

  test("is listed, inactive ones on demand", async () => {
    const grace = await api.account();
    const on = await create({}, grace);
    const off = await create({ is_active: false }, grace);
    expect((await grace.call("GET", "/webhooks")).json).toMatchObject({ count: 1, data: [{ id: on.json.id }] });
    const all = await grace.call("GET", "/webhooks?include_inactive=true&skip=1");
    expect(all.json).toMatchObject({ count: 2, data: [{ id: off.json.id }] });
  });

  test("gets a test event, and only it", async () => {
    const grace = await api.account();
    const aimed = await create({ events: ["nothing"] }, grace);
    await create({}, grace);
    const event = await grace.call("POST", `/webhooks/${aimed.json.id}/test`);
    expect(event.status).toBe(202);
    const { deliveries } = (await grace.call("GET", `/events/${event.json.id}`)).json;
    expect(deliveries).toMatchObject([{ webhook_id: aimed.json.id, event_type: "webhook.test", status: "pending" }]);
    await grace.call("PATCH", `/webhooks/${aimed.json.id}`, { is_active: false });
    expect((await grace.call("POST", `/webhooks/${aimed.json.id}/test`)).status).toBe(409);
  });
});

test("the echo says what it received, and no credentials", async () => {
  const answer = await ada.call("POST", "/webhooks/test", "any text", { "x-a": "1" });
  expect(answer.json).toMatchObject({ method: "POST", headers: { "x-a": "1" }, body: "any text" });
  expect(answer.text).not.toContain(ada.token);
  expect((await api.call("POST", "/webhooks/test")).json.body).toBe("");
});
