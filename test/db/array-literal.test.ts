import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { plainArray, textArray } from "../../src/db/array-literal.ts";
import { type Rows, startRows } from "./rows.ts";

let rows: Rows;
beforeAll(async () => {
  rows = await startRows();
}, 30_000);
afterAll(() => rows.stop());

test("any text comes back from Postgres as it was", async () => {
  const texts = fc.array(fc.option(fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"))));
  await fc.assert(
    fc.asyncProperty(texts, async (values) => {
      const [row] = await rows.sql`SELECT array_to_json(${textArray(values)}::text::text[])::text AS back`;
      expect(JSON.parse(row?.["back"])).toEqual(values);
    }),
    { examples: [[["NULL", '""', "{}", "a,b", "\\", '\\"', "", " x ", "\n", null]]] },
  );
});

test("numbers and nulls too", async () => {
  const [row] = await rows.sql`SELECT array_to_json(${plainArray([1, null, -3])}::text::int[])::text AS back`;
  expect(JSON.parse(row?.["back"])).toEqual([1, null, -3]);
});
