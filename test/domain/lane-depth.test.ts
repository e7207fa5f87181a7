import { expect, test } from "bun:test";
import { laneDepth, type RequestTimes, waitsTooLong } from "../../src/domain/lane-depth.ts";

const taking = (lastStepMs: number): RequestTimes => ({ lastStepMs, stalledMs: 0 });
const hanging = (stalledMs: number, lastStepMs?: number): RequestTimes => ({ lastStepMs, stalledMs });

test("a fast endpoint's lane is as deep as the stream allows, a slow one's as shallow as keeps it busy", () => {
  expect(laneDepth(taking(1), 1)).toBe(64);
  expect(laneDepth(taking(62), 1)).toBe(64);
  expect(laneDepth(taking(250), 1)).toBe(16);
  expect(laneDepth(taking(4_000), 1)).toBe(2);
  expect(laneDepth(taking(15_000), 1)).toBe(2);
});

test("an endpoint that takes several requests at once has more ready for it", () => {
  expect(laneDepth(taking(4_000), 10)).toBe(20);
  expect(laneDepth(taking(4_000), 100)).toBe(64);
});

test("little is brought in for an endpoint about which nothing is known", () => {
  expect(laneDepth(undefined, 1)).toBe(4);
  expect(laneDepth(hanging(0), 1)).toBe(4);
  expect(laneDepth(hanging(5), 1)).toBe(4);
});

test("a request that has not ended is as slow as it is old", () => {
  expect(laneDepth(hanging(4_000, 1), 1)).toBe(2);
  expect(laneDepth(hanging(4_000), 1)).toBe(2);
  expect(laneDepth(hanging(1_500, 4_000), 1)).toBe(2);
  expect(waitsTooLong(6, hanging(3_000), 1)).toBe(false);
  expect(waitsTooLong(7, hanging(3_000), 1)).toBe(true);
});

test("but for less than a second: the worker may be too busy to have seen its answer", () => {
  expect(laneDepth(hanging(999, 1), 1)).toBe(64);
  expect(laneDepth(hanging(1_000, 1), 1)).toBe(4);
  expect(waitsTooLong(64, hanging(999, 10), 1)).toBe(false);
  expect(waitsTooLong(64, hanging(1_000, 10), 1)).toBe(true);
});

test("behind slow requests what would wait for longer than twenty seconds waits in the table", () => {
  expect(waitsTooLong(5, taking(4_000), 1)).toBe(false);
  expect(waitsTooLong(6, taking(4_000), 1)).toBe(true);
  expect(waitsTooLong(6, taking(4_000), 2)).toBe(false);
  expect(waitsTooLong(63, taking(250), 1)).toBe(false);
});

test("what refill brings in is never sent back, and nothing is of an endpoint about which nothing is known", () => {
  for (const lastStepMs of [undefined, 1, 250, 4_000, 15_000, 30_000]) {
    for (const stalledMs of [0, 1, 300, 5_000, 30_000]) {
      for (const maxInFlight of [1, 10, 100]) {
        const times = { lastStepMs, stalledMs };
        expect(waitsTooLong(laneDepth(times, maxInFlight) - 1, times, maxInFlight)).toBe(false);
      }
    }
  }
  expect(waitsTooLong(64, hanging(0), 1)).toBe(false);
});
