import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom, systemRandom } from "../../src/lib/random.ts";

test("a seed is a sequence: the same each time, in [0, 1), and not stuck", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const numbers = Array.from({ length: 50 }, seededRandom(seed));
      expect(numbers).toEqual(Array.from({ length: 50 }, seededRandom(seed)));
      expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
      expect(new Set(numbers).size).toBeGreaterThan(45);
    }),
  );
});

test("the system's chance is in [0, 1)", () => {
  for (let drawn = 0; drawn < 100; drawn += 1) expect(Math.floor(systemRandom())).toBe(0);
});
