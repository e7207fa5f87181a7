import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HeldMessages } from "../../src/delivery/held.ts";
import { levelThatFrees } from "../../src/delivery/intake.ts";
import type { Held, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import type { DeliveryId, UserId } from "../../src/domain/ids.ts";
import { HELD_BYTES_MAX, HELD_MESSAGES_MAX } from "../../src/domain/limits.ts";
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
