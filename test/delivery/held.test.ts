import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeldMessages } from "../../src/delivery/held.ts";
import { levelThatFrees } from "../../src/delivery/hand-back.ts";
import type { Held, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import type { DeliveryId, UserId } from "../../src/domain/ids.ts";
import { ACK_WAIT_MS, HELD_BYTES_MAX, HELD_MESSAGES_MAX, PROGRESS_INTERVAL_MS } from "../../src/domain/limits.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";

const tenure = { isCurrent: () => true } as Tenure;
const handle = { seq: 1 } as StreamHandle;
const user = (name: string) => name as UserId;

function holding(amounts: Record<string, number>, payload = "{}") {
  const held = new HeldMessages(new ManualClock());
  const all: Held[] = [];
  for (const [userId, count] of Object.entries(amounts)) {
    for (let n = 0; n < count; n += 1) {
      const deliveryId = `${userId} ${n}` as DeliveryId;
      all.push(held.add(messageOf({ deliveryId, userId: user(userId), payload }), handle, tenure));
    }
  }
  return { held, all };
}

describe("appetite", () => {
  test("is everybody's below half of the bound, however little of it others use", () => {
    const { held } = holding({ large: HELD_MESSAGES_MAX / 2 - 1 });
    expect(held.hasAppetite(user("large"))).toBe(true);
  });

  test("above half is only that of users with less than an equal part of the half", () => {
    const { held } = holding({ large: HELD_MESSAGES_MAX / 2, small: 10 });
    expect(held.hasAppetite(user("large"))).toBe(false);
    expect(held.hasAppetite(user("small"))).toBe(true);
    expect(held.hasAppetite(user("nobody yet"))).toBe(true);
  });

  test("counts bytes as well", () => {
    const { held } = holding({ large: 32, small: 1 }, "x".repeat(HELD_BYTES_MAX / 60));
    expect(held.hasAppetite(user("large"))).toBe(false);
    expect(held.hasAppetite(user("small"))).toBe(true);
  });

  test("returns with what is given back", () => {
    const { held, all } = holding({ large: HELD_MESSAGES_MAX / 2, small: 10 });
    for (const one of all.slice(0, HELD_MESSAGES_MAX / 2)) held.remove(one);
    expect(held.hasAppetite(user("large"))).toBe(true);
    expect(held.count).toBe(10);
  });
});

describe("what is in flight", () => {
  const large = "x".repeat(HELD_BYTES_MAX / 64);

  test("does not count as too much, and leaves room for what waits", () => {
    const { held, all } = holding({ hog: 64 }, large);
    expect(held.isTooMuch).toBe(true);
    for (const one of all) held.begin(one);
    expect(held.isTooMuch).toBe(false);
    expect(held.hasAppetite(user("hog"))).toBe(true);
    expect(held.bytes).toBeGreaterThan(HELD_BYTES_MAX);
  });

  test("of one user leaves memory for others, and of its slow endpoints for its fast ones", () => {
    const { held, all } = holding({ hog: 64 }, large);
    const [one, ...others] = all;
    let slow = 0;
    for (; held.hasMemory(user("hog"), false); slow += 1) held.begin(others[slow] as Held);
    expect(slow).toBe(22);
    let fast = 0;
    for (; held.hasMemory(user("hog"), true); fast += 1) held.begin(others[slow + fast] as Held);
    expect(slow + fast).toBe(32);
    expect(held.hasMemory(user("small"), false)).toBe(true);
    held.remove(others[0] as Held);
    expect(held.hasMemory(user("hog"), true)).toBe(true);
    held.begin(one as Held);
    expect(held.hasMemory(user("hog"), true)).toBe(false);
  });

  test("of any number of users stays near the bound, and a newcomer may always begin one", () => {
    const hogs = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`hog ${n}`, 64]));
    const { held, all } = holding(hogs, large);
    for (const one of all) if (held.hasMemory(one.message.userId, true)) held.begin(one);
    const inFlight = all.filter(({ stage }) => stage === "in_flight");
    expect(new Set(inFlight.map(({ message }) => message.userId)).size).toBe(50);
    expect(inFlight.length).toBeLessThan(64 + 50);
    expect(held.hasMemory(user("newcomer"), false)).toBe(true);
  });
});

test("a turn's end frees the payload, and what waits for its record still counts as one", () => {
  const { held, all } = holding({ user: 1 }, "x".repeat(100_000));
  held.begin(all[0] as Held);
  held.end(all[0] as Held);
  expect(all[0]?.message.payload).toBe("");
  expect(held.bytes).toBeLessThan(2_000);
  expect(held.count).toBe(1);
  held.remove(all[0] as Held);
  expect(held.bytes).toBe(0);
  expect(held.count).toBe(0);
});

test("memory is counted in bytes, whatever the characters", () => {
  const { held } = holding({ user: 1 }, "é".repeat(100_000));
  expect(held.bytes).toBeGreaterThan(200_000);
});

test("the level to which the largest are cut frees the excess, takes from nobody below it, and no more than need be", () => {
  const sizes = fc.array(fc.nat({ max: 200 }), { maxLength: 20 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 500 }), (all, excess) => {
      const total = all.reduce((sum, size) => sum + size, 0);
      const level = levelThatFrees(excess, all);
      const freed = (to: number) => all.reduce((sum, size) => sum + Math.max(0, size - to), 0);
      expect(freed(level)).toBeGreaterThanOrEqual(Math.min(excess, total));
      if (freed(level) > 0) expect(freed(level + 1)).toBeLessThan(excess);
    }),
  );
});

describe("what is held is reported as in progress", () => {
  /** Holds `count` that came at once, for so long; when each was reported. */
  async function reports(count: number, forMs: number): Promise<number[][]> {
    const clock = new ManualClock();
    const held = new HeldMessages(clock);
    const times = Array.from({ length: count }, () => [clock.now()]);
    for (const [seq, own] of times.entries()) {
      const noted = { seq, working: () => own.push(clock.now()) } as unknown as StreamHandle;
      held.add(messageOf({ deliveryId: `${seq}` as DeliveryId }), noted, tenure);
    }
    await held.start();
    clock.advance(forMs);
    return times.map((own) => [...own, clock.now()]);
  }

  test("again and again, well before the server would send it again", async () => {
    for (const times of await reports(500, 60_000)) {
      const silences = times.slice(1).map((at, n) => at - (times[n] ?? 0));
      expect(silences.length).toBeGreaterThanOrEqual(6);
      expect(Math.max(...silences)).toBeLessThanOrEqual(PROGRESS_INTERVAL_MS);
    }
    expect(PROGRESS_INTERVAL_MS).toBeLessThanOrEqual(ACK_WAIT_MS / 2);
  });

  test("a few at a time, also what came all at once", async () => {
    const perLook = new Map<number, number>();
    for (const times of await reports(2_000, 60_000)) {
      for (const at of times.slice(1, -1)) perLook.set(at, (perLook.get(at) ?? 0) + 1);
    }
    expect(Math.max(...perLook.values())).toBe(2_000 / 80);
  });

  test("unless its partition is somebody else's now", async () => {
    const clock = new ManualClock();
    const held = new HeldMessages(clock);
    let isOurs = true;
    let reported = 0;
    const counted = { seq: 1, working: () => (reported += 1) } as unknown as StreamHandle;
    held.add(messageOf({}), counted, { isCurrent: () => isOurs } as Tenure);
    await held.start();
    clock.advance(PROGRESS_INTERVAL_MS);
    expect(reported).toBe(1);
    isOurs = false;
    clock.advance(60_000);
    expect(reported).toBe(1);
  });
});
