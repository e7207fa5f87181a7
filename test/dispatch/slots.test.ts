import { describe, expect, test } from "bun:test";
import { SLOW_AFTER_MS, SLOW_REQUESTS_MAX, SLOW_REQUESTS_PER_USER_MAX, Slots } from "../../src/dispatch/slots.ts";
import { ManualClock } from "../../src/lib/clock.ts";

function slotsOf(slots: number) {
  const clock = new ManualClock();
  let left = 0;
  const counted = new Slots({ clock, slots, onRoom: () => (left += 1) });
  return { clock, counted, left: () => left };
}

describe("a slot", () => {
  test("is held for a request's first 250 ms only", () => {
    const { clock, counted, left } = slotsOf(2);
    counted.begin("ada", "fast");
    const second = counted.begin("ada", "fast");
    expect(counted.isFull).toBe(true);
    clock.advance(SLOW_AFTER_MS - 50);
    expect(counted.isFull).toBe(true);
    clock.advance(100);
    expect(counted.isFull).toBe(false);
    expect(left()).toBe(2);
    expect(counted.slow).toBe(2);
    expect(counted.inFlight).toBe(2);
    expect(counted.end(second)).toBe(SLOW_AFTER_MS);
    expect(counted.inFlight).toBe(1);
  });

  test("is not taken by a request of an endpoint that is known to be slow", () => {
    const { counted } = slotsOf(1);
    const slow = counted.begin("ada", "slow");
    expect(counted.isFull).toBe(false);
    expect(counted.end(slow)).toBe(0);
  });

  test("costs what it was held for", () => {
    const { clock, counted } = slotsOf(1);
    const flight = counted.begin("ada", "fast");
    clock.advance(40);
    expect(counted.end(flight)).toBe(40);
  });
});

describe("the slow pool", () => {
  test("has a bound for each user, beyond which nothing unknown of it begins either", () => {
    const { counted } = slotsOf(256);
    for (let begun = 0; begun < SLOW_REQUESTS_PER_USER_MAX; begun += 1) counted.begin("ada", "slow");
    expect(counted.roomFor("ada", "slow")).toBeLessThanOrEqual(0);
    expect(counted.roomFor("ada", "unknown")).toBeLessThanOrEqual(0);
    expect(counted.roomFor("ada", "fast")).toBeGreaterThan(0);
    expect(counted.roomFor("grace", "slow")).toBeGreaterThan(0);
  });

  test("has a bound in all", () => {
    const { counted } = slotsOf(256);
    for (let begun = 0; begun < SLOW_REQUESTS_MAX; begun += 1) counted.begin(`user ${begun % 8}`, "slow");
    expect(counted.roomFor("someone else", "slow")).toBeLessThanOrEqual(0);
    expect(counted.roomFor("someone else", "unknown")).toBeGreaterThan(0);
  });

  test("fast endpoints that begin to hang have a bound of their own, and take no place of other users' slow ones", () => {
    const { clock, counted } = slotsOf(256);
    const hanging = [];
    while (counted.roomFor("ada", "fast") > 0) {
      while (!counted.isFull && counted.roomFor("ada", "fast") > 0) hanging.push(counted.begin("ada", "fast"));
      clock.advance(SLOW_AFTER_MS + 50);
    }
    // Those of the last 250 ms are not known to hang yet.
    expect(hanging.length).toBeWithin(SLOW_REQUESTS_PER_USER_MAX, SLOW_REQUESTS_PER_USER_MAX + 257);
    for (let begun = 0; begun < SLOW_REQUESTS_MAX; begun += 1) {
      const user = `user ${begun % 8}`;
      expect(counted.roomFor(user, "slow")).toBeGreaterThan(0);
      counted.begin(user, "slow");
    }
    expect(counted.roomFor("grace", "fast")).toBeGreaterThan(0);
    for (const flight of hanging) expect(counted.end(flight)).toBe(SLOW_AFTER_MS);
    expect(counted.roomFor("ada", "fast")).toBe(SLOW_REQUESTS_PER_USER_MAX);
    expect(counted.roomFor("grace", "slow")).toBe(0);
  });

  test("a user's endpoints of unknown pace hold a quarter of the slots at most", () => {
    const { clock, counted } = slotsOf(8);
    counted.begin("ada", "unknown");
    const second = counted.begin("ada", "unknown");
    expect(counted.roomFor("ada", "unknown")).toBeLessThanOrEqual(0);
    expect(counted.roomFor("grace", "unknown")).toBeGreaterThan(0);
    counted.end(second);
    expect(counted.roomFor("ada", "unknown")).toBeGreaterThan(0);
    counted.begin("ada", "unknown");
    clock.advance(SLOW_AFTER_MS + 50);
    expect(counted.roomFor("ada", "unknown")).toBeGreaterThan(0);
  });
});
