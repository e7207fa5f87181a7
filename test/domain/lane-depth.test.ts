import { expect, test } from "bun:test";
import { laneDepth } from "../../src/domain/lane-depth.ts";

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
