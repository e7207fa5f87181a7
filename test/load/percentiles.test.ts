import { expect, test } from "bun:test";
import { latencyOf, percentile, ratioOf, Samples } from "../../src/load/percentiles.ts";

test("percentiles are by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([50, 95, 99, 100].map((percent) => percentile(hundred, percent))).toEqual([50, 95, 99, 100]);
  expect(percentile([7], 1)).toBe(7);
  expect(percentile([1, 2, 3], 50)).toBe(2);
  expect(percentile([], 50)).toBeNull();
});

test("samples grow, and are sorted only when asked", () => {
  const samples = new Samples();
  for (let value = 5_000; value > 0; value -= 1) samples.add(value);
  expect(latencyOf(samples.sorted())).toEqual({
    count: 5_000,
    p50_ms: 2_500,
    p95_ms: 4_750,
    p99_ms: 4_950,
    max_ms: 5_000,
  });
  samples.add(6_000);
  expect(latencyOf(samples.sorted()).max_ms).toBe(6_000);
});

test("a ratio needs both figures", () => {
  const of = (values: number[]) => latencyOf(values);
  expect(ratioOf(of([4]), of([2]))).toEqual({ p50_ms: 2, p95_ms: 2, p99_ms: 2, max_ms: 2 });
  expect(ratioOf(of([4]), of([])).p99_ms).toBeNull();
});
