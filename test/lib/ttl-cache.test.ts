// The cache's bounds: time and number.

import { expect, test } from "bun:test";
import { ManualClock } from "../../src/lib/clock.ts";
import { TtlCache } from "../../src/lib/ttl-cache.ts";

function cacheOf(entriesMax = 3) {
  const clock = new ManualClock();
  return { clock, cache: new TtlCache<string, number>({ clock, ttlMs: 100, entriesMax }) };
}

test("an entry lives as long as it was told to, and setting it starts anew", () => {
  const { clock, cache } = cacheOf();
  cache.set("a", 1);
  clock.advance(99);
  expect(cache.get("a")).toBe(1);
  cache.set("a", 2);
  clock.advance(99);
  expect(cache.get("a")).toBe(2);
  clock.advance(1);
  expect(cache.get("a")).toBeUndefined();
  expect(cache.size).toBe(0);
});

test("an entry asks once to be refreshed, in the second half of its time", () => {
  const { clock, cache } = cacheOf();
  cache.set("a", 1);
  clock.advance(50);
  expect(cache.isToBeRefreshed("a")).toBe(false);
  clock.advance(1);
  expect(cache.isToBeRefreshed("a")).toBe(true);
  expect(cache.isToBeRefreshed("a")).toBe(false);
  cache.set("a", 2);
  expect(cache.isToBeRefreshed("a")).toBe(false);
  clock.advance(51);
  expect(cache.isToBeRefreshed("a")).toBe(true);
  expect(cache.isToBeRefreshed("b")).toBe(false);
});

test("a full cache lets go of what would expire first", () => {
  const { cache } = cacheOf();
  for (const [index, key] of ["a", "b", "c", "a", "d"].entries()) cache.set(key, index);
  expect(["a", "b", "c", "d"].map((key) => cache.get(key))).toEqual([3, undefined, 2, 4]);
  expect(cache.size).toBe(3);
});

test("entries can be taken out", () => {
  const { cache } = cacheOf();
  cache.set("a", 1);
  expect(cache.delete("a")).toBe(true);
  expect(cache.delete("a")).toBe(false);
  cache.set("b", 1);
  cache.clear();
  expect(cache.get("b")).toBeUndefined();
});
