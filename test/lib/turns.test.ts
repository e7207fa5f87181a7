import { expect, test } from "bun:test";
import fc from "fast-check";
import { Turns } from "../../src/lib/turns.ts";

test("those who wait take turns, and each of them is served in order", () => {
  const turns = new Turns<string, string>();
  for (const item of ["a1", "a2", "a3", "b1", "c1", "c2"]) turns.push(item.charAt(0), item);
  expect(turns.take(4)).toEqual(["a1", "b1", "c1", "a2"]);
  turns.push("b", "b2");
  expect(turns.take(10)).toEqual(["c2", "a3", "b2"]);
  expect(turns.size).toBe(0);
});

test("only who has most loses something in favour of another", () => {
  const turns = new Turns<string, string>();
  for (const item of ["a1", "a2", "a3", "b1"]) turns.push(item.charAt(0), item);
  expect(turns.dropInFavourOf("a")).toBeUndefined();
  expect(turns.dropInFavourOf("b")).toBe("a3");
  expect(turns.dropInFavourOf("b")).toBeUndefined();
  expect(turns.dropInFavourOf("c")).toBe("a2");
  expect(turns.size).toBe(2);
  expect(turns.clear()).toEqual(["a1", "b1"]);
});

test("nothing is lost or repeated, and nobody's items change their order", () => {
  const items = fc.array(fc.record({ owner: fc.constantFrom("a", "b", "c"), takeMax: fc.integer({ min: 0, max: 4 }) }));
  fc.assert(
    fc.property(items, (given) => {
      const turns = new Turns<string, number>();
      const taken: number[] = [];
      given.forEach(({ owner, takeMax }, index) => {
        turns.push(owner, index);
        taken.push(...turns.take(takeMax));
      });
      taken.push(...turns.clear());
      expect(taken.toSorted((x, y) => x - y)).toEqual(given.map((_, index) => index));
      for (const owner of ["a", "b", "c"]) {
        const own = taken.filter((index) => given[index]?.owner === owner);
        expect(own).toEqual(own.toSorted((x, y) => x - y));
      }
    }),
  );
});
