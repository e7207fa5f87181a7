import { expect, test } from "bun:test";
import type { EventRow } from "../../src/db/accept.ts";
import type { Message } from "../../src/domain/delivery.ts";
import { type DeliveryId, type EventId, newId, type UserId, type WebhookId } from "../../src/domain/ids.ts";
import type { Partition } from "../../src/domain/partition.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { Announcer } from "../../src/publish/announce.ts";
import type { Published } from "../../src/stream/publisher.ts";

const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** An announcer whose publishes take 1 ms, each portion followed by `restMs`; `announce` an event of 50 deliveries. */
function announcer(restMs: number, outcome: Published = { kind: "stored", seq: 1 }) {
  const clock = new ManualClock();
  const said: { name: string; fields: object }[] = [];
  const published: Message[] = [];
  const made = new Announcer({
    clock,
    observe: (name, fields) => void said.push({ name, fields }),
    onAccepted: () => {},
    restMs: () => restMs,
    outgoing: {
      async publish(message) {
        published.push(message);
        await new Promise<void>((resolve) => clock.after(1, resolve));
        return outcome;
      },
    },
  });
  const row: EventRow = {
    id: newId<EventId>(),
    user_id: newId<UserId>(),
    type: "order.paid",
    priority: "high",
    pieces: ["{}"],
    patterns: ["*"],
    only_to: null,
    not_to: null,
  };
  const deliveries = Array.from({ length: 50 }, () => ({
    id: newId<DeliveryId>(),
    event_id: row.id,
    webhook_id: newId<WebhookId>(),
    partition: 0 as Partition,
    publish: true,
  }));
  const accepted = { events: [{ id: row.id, payload: "{}", created_at: new Date(0).toISOString() }], deliveries };
  const announce = (canWait: boolean) => made.announce([row], accepted, { begunAt: clock.monotonic(), canWait });
  const pass = async (ms: number) => {
    for (let n = 0; n < ms; n += 1) {
      clock.advance(1);
      await settle();
    }
  };
  return { announce, published, said, pass };
}

test("what others wait for is published in portions without rest", async () => {
  const { announce, published, pass } = announcer(100);
  announce(false);
  expect(published).toHaveLength(20);
  await pass(2);
  expect(published).toHaveLength(50);
});

test("what can wait is published in portions, and rests between them", async () => {
  const { announce, published, pass } = announcer(100);
  announce(true);
  await pass(90);
  expect(published).toHaveLength(8);
  await pass(20);
  expect(published).toHaveLength(16);
  await pass(5 * 101);
  expect(published).toHaveLength(50);
});

test("what has waited too long is left to refill", async () => {
  const { announce, published, pass } = announcer(10_000);
  announce(true);
  await pass(10_100);
  expect(published).toHaveLength(8);
});

test("failed publishes are said together, with what becomes of them, and again only for later ones", async () => {
  const { announce, said, pass } = announcer(0, { kind: "failed", reason: "not connected to NATS" });
  const failures = () => said.filter(({ name }) => name === "publish.failed").map(({ fields }) => fields);
  announce(false);
  announce(false);
  await pass(4_900);
  expect(failures()).toEqual([]);
  await pass(200);
  const outlook = "they wait in the table for refill";
  expect(failures()).toEqual([{ reason: "not connected to NATS", deliveries: 100, outlook }]);
  await pass(10_000);
  expect(failures()).toHaveLength(1);
  announce(false);
  await pass(5_100);
  expect(failures()[1]).toMatchObject({ deliveries: 50 });
});
