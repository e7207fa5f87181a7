import { expect, test } from "bun:test";
import { laneDepth, waitsTooLong } from "../../src/domain/lane-depth.ts";

test("a fast endpoint's lane is as deep as the stream allows, a slow one's as shallow as keeps it busy", () => {
  expect(laneDepth(1, 1)).toBe(64);
  expect(laneDepth(62, 1)).toBe(64);
  expect(laneDepth(250, 1)).toBe(16);
  expect(laneDepth(4_000, 1)).toBe(2);
  expect(laneDepth(15_000, 1)).toBe(2);
});

test("an endpoint that takes several requests at once has more ready for it", () => {
  expect(laneDepth(4_000, 10)).toBe(20);
  expect(laneDepth(4_000, 100)).toBe(64);
});

test("little is brought in for an endpoint about which nothing is known", () => {
  expect(laneDepth(undefined, 1)).toBe(4);
});

test("behind slow requests what would wait for longer than twenty seconds waits in the table", () => {
  expect(waitsTooLong(5, 4_000, 1)).toBe(false);
  expect(waitsTooLong(6, 4_000, 1)).toBe(true);
  expect(waitsTooLong(6, 4_000, 2)).toBe(false);
  expect(waitsTooLong(63, 250, 1)).toBe(false);
});

test("what refill brings in is never sent back, and nothing is of an endpoint about which nothing is known", () => {
  for (const requestMs of [1, 250, 4_000, 15_000, 30_000]) {
    for (const maxInFlight of [1, 10, 100]) {
      expect(waitsTooLong(laneDepth(requestMs, maxInFlight) - 1, requestMs, maxInFlight)).toBe(false);
    }
  }
  expect(waitsTooLong(64, undefined, 1)).toBe(false);
});
