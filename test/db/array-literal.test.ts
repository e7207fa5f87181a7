import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { plainArray, sparseArray, sparseTextArray } from "../../src/db/array-literal.ts";
import { type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
});
afterAll(() => rows.stop());

test("any text comes back from Postgres as it was", async () => {
  const texts = fc.array(fc.option(fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"))));
  await fc.assert(
    fc.asyncProperty(texts, async (values) => {
      const [row] = await rows.sql`SELECT array_to_json(${sparseTextArray(values)}::text::text[])::text AS back`;
      const isSparse = values.every((value) => value === null);
      expect(isSparse ? row?.["back"] : JSON.parse(row?.["back"])).toEqual(isSparse ? null : values);
    }),
    { examples: [[["NULL", '""', "{}", "a,b", "\\", '\\"', "", " x ", "\n", null]]] },
  );
});

test("numbers and nulls too", async () => {
  const [row] = await rows.sql`SELECT array_to_json(${plainArray([1, null, -3])}::text::int[])::text AS back`;
  expect(JSON.parse(row?.["back"])).toEqual([1, null, -3]);
});

test("beside other arrays, one of nulls alone is not sent, and reads as nulls", async () => {
  const numbers = sparseArray([null, null]);
  expect(numbers).toBe(null);
  const read =
    await rows.sql`SELECT * FROM unnest(${plainArray([1, 2])}::text::int[], ${numbers}::text::int[]) AS u(a, b)`;
  expect([...read]).toEqual([
    { a: 1, b: null },
    { a: 2, b: null },
  ]);
});
