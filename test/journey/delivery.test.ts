// What happens to a delivery, seen from outside: over HTTP on one side, as a receiver on the other.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { type Receiver, slow, startReceiver, status } from "../support/receiver.ts";
import { Fairpost, patiently } from "./fairpost.ts";

let fairpost: Fairpost;
let receiver: Receiver;

beforeAll(async () => {
  receiver = startReceiver();
  fairpost = await Fairpost.start();
});
afterAll(async () => {
  await fairpost.stop();
  await receiver.stop();
});

describe("a burst", () => {
  test.concurrent("of 300 subscribers reaches a slow receiver one by one, and holds no other endpoint up", async () => {
    const account = await fairpost.account();
    await account.webhook(receiver.at("/burst", slow(50)), { events: ["subscriber.*"] });
    await account.webhook(receiver.at("/beside"), { events: ["order.paid"] });
    const statuses = await account.subscribers(300);
    expect(new Set(statuses)).toEqual(new Set([201]));
    await account.event("order.paid");
    await patiently(() => expect(receiver.of("/beside")).toHaveLength(1));
    expect(receiver.of("/burst").length).toBeLessThan(150);
    await patiently(() => expect(new Set(receiver.eventIds("/burst")).size).toBe(300), 25_000);
    expect(receiver.of("/burst")).toHaveLength(300);
    expect(receiver.atOnceMax("/burst")).toBe(1);
  });

  test.concurrent(
    "of 2,000 deliveries for one endpoint, far more than the stream takes, arrives once each and nearly in order",
    async () => {
      const account = await fairpost.account();
      await account.webhook(receiver.at("/backlog", slow(2)), { events: ["subscriber.*"] });
      await account.webhook(receiver.at("/beside-backlog"), { events: ["order.paid"] });
      for (let round = 0; round < 4; round += 1) await account.subscribers(500);
      await account.event("order.paid");
      await patiently(() => expect(receiver.of("/beside-backlog")).toHaveLength(1));
      await patiently(() => expect(new Set(receiver.eventIds("/backlog")).size).toBe(2_000), 25_000);
      const ids = receiver.eventIds("/backlog");
      expect(ids).toHaveLength(2_000);
      expect(receiver.atOnceMax("/backlog")).toBe(1);
      // Best effort: what did not fit the stream at the burst's beginning waits behind a few later ones.
      const acceptedAt = receiver.of("/backlog").map(({ body }) => Date.parse(JSON.parse(body).timestamp));
      const overtakenByMs = acceptedAt.map((at, index) => Math.max(...acceptedAt.slice(0, index + 1)) - at);
      expect(Math.max(...overtakenByMs)).toBeLessThan(3_500);
    },
  );
});

describe("a failed delivery", () => {
  test.concurrent("fails for good after its schedule, and begins a new one when it is replayed", async () => {
    const account = await fairpost.account();
    let isBroken = true;
    await account.webhook(receiver.at("/broken", () => status(isBroken ? 500 : 200)));
    await account.event("order.paid");
    const [failed] = await patiently(async () => {
      const deliveries = await account.deliveries("status=failed");
      expect(deliveries).toHaveLength(1);
      return deliveries;
    });
    expect(failed).toMatchObject({ attempt_count: 3, last_error: "HTTP 500" });
    expect((await account.call("POST", `/deliveries/${failed.id}/retry`)).status).toBe(202);
    await patiently(async () => expect((await account.delivery(failed.id)).attempt_count).toBe(6));
    isBroken = false;
    await patiently(async () => {
      expect((await account.call("POST", `/deliveries/${failed.id}/retry`)).status).toBe(202);
    });
    await patiently(async () => expect((await account.delivery(failed.id)).status).toBe("delivered"));
    const { attempts } = await account.delivery(failed.id);
    expect(attempts.map(({ attempt }: { attempt: number }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(receiver.of("/broken")).toHaveLength(7);
  });

  test.concurrent("holds the whole endpoint back for as long as Retry-After says", async () => {
    const account = await fairpost.account();
    const url = receiver.at("/busy", (_, count) => (count === 1 ? status(503, { "retry-after": "2" }) : status(200)));
    await account.webhook(url);
    await account.event("order.paid");
    await patiently(() => expect(receiver.of("/busy")).toHaveLength(1));
    await account.event("order.paid");
    await account.event("order.paid");
    await patiently(() => expect(receiver.of("/busy")).toHaveLength(4));
    const [first, second] = receiver.of("/busy");
    expect((second?.at ?? 0) - (first?.endedAt ?? 0)).toBeGreaterThanOrEqual(1_990);
    await patiently(async () => expect(await account.deliveries("status=delivered")).toHaveLength(3));
  });

  test.concurrent("says that a redirect was not followed", async () => {
    const account = await fairpost.account();
    const secretPlace = receiver.at("/redirected");
    await account.webhook(receiver.at("/redirect", () => status(307, { location: secretPlace })));
    await account.event("order.paid");
    await patiently(async () => {
      const [delivery] = await account.deliveries("status=failed");
      expect(delivery?.last_error).toBe("HTTP 307: redirects are not followed");
    });
    expect(receiver.of("/redirected")).toHaveLength(0);
  });
});

describe("410 Gone", () => {
  test.concurrent(
    "disables the webhook, cancels what waits for it, and tells another webhook that asked for it by name",
    async () => {
      const account = await fairpost.account();
      const gone = await account.webhook(
        receiver.at("/gone", () => status(410)),
        { events: ["order.*", "webhook.disabled"] },
      );
      await account.webhook(receiver.at("/watching"), { events: ["webhook.disabled"] });
      await account.webhook(receiver.at("/everything"), { events: ["*"] });
      await account.event("order.paid");
      await patiently(() => expect(receiver.of("/watching")).toHaveLength(1));
      const told = JSON.parse(receiver.of("/watching")[0]?.body ?? "");
      expect(told).toMatchObject({
        type: "webhook.disabled",
        data: { webhook: { id: gone.id, url: gone.url }, reason: "the receiver answered 410 Gone" },
      });
      // As the catalogue says.
      const { data: types } = (await account.call("GET", "/event-types")).json;
      const { example } = types.find(({ type }: { type: string }) => type === "webhook.disabled");
      expect(shapeOf(told)).toEqual(shapeOf(example));
      expect((await account.call("GET", `/webhooks/${gone.id}`)).json).toMatchObject({ is_active: false });
      const [failed] = await account.deliveries(`webhook_id=${gone.id}`);
      expect(failed).toMatchObject({ status: "failed", attempt_count: 1, last_error: "HTTP 410: gone for good" });
      await account.event("order.paid");
      await patiently(() => expect(receiver.of("/everything")).toHaveLength(2));
      expect(receiver.of("/gone")).toHaveLength(1);
      expect(receiver.of("/everything").map(({ body }) => JSON.parse(body).type)).toEqual(["order.paid", "order.paid"]);
    },
  );
});

describe("a webhook that is switched off or deleted", () => {
  test.concurrent.each(["PATCH", "DELETE"])("by %s has its pending deliveries cancelled", async (method) => {
    const account = await fairpost.account();
    const path = `/off-${method}`;
    const webhook = await account.webhook(receiver.at(path, slow(300)));
    await account.subscribers(100);
    await patiently(() => expect(receiver.of(path).length).toBeGreaterThan(0));
    const body = method === "PATCH" ? { is_active: false } : undefined;
    expect((await account.call(method, `/webhooks/${webhook.id}`, body)).status).toBeLessThan(300);
    await patiently(async () => {
      const deliveries = await account.deliveries();
      expect(deliveries.filter(({ status: now }) => now === "pending")).toHaveLength(0);
      expect(deliveries.filter(({ status: now }) => now === "cancelled").length).toBeGreaterThan(90);
      expect(deliveries).toHaveLength(100);
    });
    expect(receiver.of(path).length).toBeLessThan(10);
  });
});

describe("a webhook that is switched on again", () => {
  test.concurrent("gets nothing of what was cancelled, though it waited in a worker all the while", async () => {
    const account = await fairpost.account();
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const url = receiver.at("/on-again", (_, count) => (count > 1 ? status(200) : released.then(() => status(200))));
    const webhook = await account.webhook(url);
    const first = await account.event("order.paid");
    for (let event = 0; event < 3; event += 1) await account.event("order.paid");
    await patiently(() => expect(receiver.of("/on-again")).toHaveLength(1));
    await account.call("PATCH", `/webhooks/${webhook.id}`, { is_active: false });
    const sql = postgres(fairpost.database.url, { max: 1 });
    await patiently(async () => {
      expect(await account.deliveries(`webhook_id=${webhook.id}&status=cancelled`)).toHaveLength(4);
      // Nothing in the table says so any more.
      expect(
        await sql`SELECT 1 FROM endpoints WHERE webhook_id = ${webhook.id} AND cancel_before IS NULL`,
      ).toHaveLength(1);
    });
    await sql.end();
    await account.call("PATCH", `/webhooks/${webhook.id}`, { is_active: true });
    const last = await account.event("order.paid");
    release();
    await patiently(() => expect(receiver.eventIds("/on-again")).toContain(last.id));
    expect(receiver.eventIds("/on-again")).toEqual([first.id, last.id]);
  });
});

describe("a payload", () => {
  test.concurrent("of 256 KiB arrives byte for byte", async () => {
    const account = await fairpost.account();
    await account.webhook(receiver.at("/large"));
    const text = "Zoë ".repeat(50_000);
    await account.event("order.paid", { text });
    await patiently(() => expect(receiver.of("/large")[0]?.endedAt).toBeDefined());
    expect(JSON.parse(receiver.of("/large")[0]?.body ?? "").data.text).toBe(text);
  });
});

test("what has failed is delivered after a recovery, and its attempts go on counting", async () => {
  const account = await fairpost.account();
  const webhook = await account.webhook(receiver.at("/recovered", (_, count) => status(count <= 3 ? 500 : 200)));
  await account.event("order.paid");
  const [failed] = await patiently(async () => {
    const all = await account.deliveries("status=failed");
    expect(all).toHaveLength(1);
    return all;
  });
  expect((await account.call("POST", `/webhooks/${webhook.id}/recover`)).status).toBe(202);
  await patiently(async () => {
    const delivery = await account.delivery(failed.id);
    expect(delivery).toMatchObject({ status: "delivered", priority: "low", attempt_count: 4 });
  });
});

/** A value's members, and theirs, without what they are. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, shapeOf(member)]));
}
