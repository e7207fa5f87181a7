// Too much in hand: who gives back, how much, and when.

import { describe, expect, test } from "bun:test";
import type { Attempts } from "../../src/delivery/attempt.ts";
import { HeldMessages } from "../../src/delivery/held.ts";
import { Intake } from "../../src/delivery/intake.ts";
import type { DeliveryLog, DeliveryState, Endpoints, Held, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import type { Message } from "../../src/domain/delivery.ts";
import type { UserId, WebhookId } from "../../src/domain/ids.ts";
import { HELD_BYTES_MAX, HELD_MESSAGES_MAX } from "../../src/domain/limits.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";

const NOW = 1_800_000_000_000;
const LARGE = "x".repeat(HELD_BYTES_MAX / 256);
/** How long it may be too much. */
const SOON_MS = 50;
const tenure = { isCurrent: () => true, isDraining: false, publishedAfterSeq: 0 } as Tenure;

/** An intake whose actors never get a turn: everything waits in mailboxes, or is being checked. */
function intake() {
  const clock = new ManualClock(NOW);
  const held = new HeldMessages(clock);
  const handedBack: Held[] = [];
  const reported: number[] = [];
  const checks: (() => void)[] = [];
  const attempts = {
    end(one: Held, turn: { kind: string }) {
      expect(turn.kind).toBe("handed_back");
      held.end(one);
      handedBack.push(one);
    },
  } as unknown as Attempts;
  const log = {
    check: () =>
      new Promise<DeliveryState>((resolve) => {
        const counts = { generation: 0, attemptCount: 0, scheduleBase: 0 };
        const row = { status: "pending", ...counts, pendingSince: 0, pendingForMs: 0, dueInMs: 0 };
        checks.push(() => resolve(row));
      }),
  } as unknown as DeliveryLog;
  const made = new Intake({
    clock,
    observe: (_, fields) => reported.push((fields as { deliveries: number }).deliveries),
    held,
    log,
    endpoints: { maxInFlight: () => 1 } as unknown as Endpoints,
    attempts,
    onReady: () => {},
    onLaneFull: () => {},
  });
  let seq = 0;
  const receive = (userId: string, webhookId: string, more: Partial<Message> = {}) => {
    seq += 1;
    const ids = { userId: userId as UserId, webhookId: webhookId as WebhookId };
    const handle = { seq, deliveryCount: 1, storedAt: NOW } as StreamHandle;
    made.receive(messageOf({ pendingSince: NOW, ...ids, ...more }), handle, tenure);
  };
  const ofUser = (userId: string) => handedBack.filter(({ message }) => message.userId === userId);
  return { clock, held, receive, handedBack, ofUser, reported, checks };
}

describe("too much in hand", () => {
  test("is handed back only if it does not go away by itself", () => {
    const { clock, held, receive, handedBack } = intake();
    const receiveMany = (count: number) => {
      for (let n = 0; n < count; n += 1) receive("busy", `busy ${n % 100}`, { payload: "{}" });
    };
    receiveMany(HELD_MESSAGES_MAX + 100);
    clock.advance(SOON_MS / 2);
    // Its endpoints are fast: some have been delivered meanwhile, and the next message finds room.
    for (const one of held.ofPartition(messageOf({}).partition).slice(0, 200)) {
      held.end(one);
      held.remove(one);
    }
    receiveMany(1);
    clock.advance(SOON_MS);
    expect(handedBack).toHaveLength(0);

    receiveMany(100);
    clock.advance(SOON_MS - 1);
    expect(handedBack).toHaveLength(0);
    clock.advance(1);
    expect(handedBack.length).toBeGreaterThan(0);
  });

  test("by bytes is handed back by whoever has most bytes, though others have more messages", () => {
    const { clock, held, receive, handedBack, ofUser } = intake();
    for (let n = 0; n < 5_000; n += 1) receive("small", `small ${n % 10}`, { payload: "{}" });
    for (let n = 0; n < 1_000; n += 1) receive("hog", `hog ${n % 100}`, { payload: LARGE });
    clock.advance(SOON_MS);
    expect(held.isTooMuch).toBe(false);
    expect(ofUser("small")).toHaveLength(0);
    // As many are left as fit, less at most a tenth.
    expect(1_000 - handedBack.length).toBeGreaterThan(200);
  });

  test("by count is handed back by whoever has most messages, though others have more bytes", () => {
    const { clock, held, receive, ofUser } = intake();
    for (let n = 0; n < 100; n += 1) receive("large", "large", { payload: LARGE });
    for (let n = 0; n < 25_000; n += 1) receive("hog", `hog ${n % 100}`, { payload: "{}" });
    clock.advance(SOON_MS);
    // What has been handed back counts until it is recorded, but is handed back once only.
    expect(held.count).toBe(25_100);
    expect(ofUser("large")).toHaveLength(0);
    expect(25_100 - ofUser("hog").length).toBeGreaterThan(HELD_MESSAGES_MAX * 0.9 - 1);
    for (const one of ofUser("hog")) held.remove(one);
    expect(held.isTooMuch).toBe(false);
  });

  test("while rows are being checked is handed back when they have been, and not by others", async () => {
    const { clock, held, receive, handedBack, ofUser, checks } = intake();
    for (let n = 0; n < 400; n += 1) receive("hog", `hog ${n % 100}`, { payload: LARGE, origin: "refill" });
    receive("small", "small");
    clock.advance(SOON_MS);
    expect(held.isTooMuch).toBe(true);
    expect(handedBack).toHaveLength(0);
    for (const done of checks) done();
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    clock.advance(SOON_MS);
    expect(held.isTooMuch).toBe(false);
    expect(ofUser("small")).toHaveLength(0);
    expect(ofUser("hog").length).toBeLessThan(200);
  });

  test("is reported once a second", () => {
    const { clock, receive, reported, handedBack } = intake();
    for (let n = 0; n < 1_000; n += 1) receive("hog", `hog ${n % 100}`, { payload: LARGE });
    clock.advance(SOON_MS);
    expect(reported).toEqual([]);
    clock.advance(1_000);
    expect(reported).toEqual([handedBack.length]);
  });
});
