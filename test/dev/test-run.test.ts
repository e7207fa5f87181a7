import { describe, expect, test } from "bun:test";
import { countsOf } from "../../src/dev/test-run.ts";

const report = (tests: number, failures: number, skipped: number) =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" tests="${tests}" assertions="9" failures="${failures}" skipped="${skipped}" time="1">`;

describe("countsOf", () => {
  test("takes the report's word", () => {
    expect(countsOf(report(7, 0, 2), 0)).toEqual({ passed: 5, failed: 0 });
    expect(countsOf(report(7, 2, 1), 1)).toEqual({ passed: 4, failed: 2 });
  });

  test("no report is a failure, whatever the exit code says", () => {
    expect(countsOf(undefined, 0)).toEqual({ passed: 0, failed: 1 });
    expect(countsOf("", 0)).toEqual({ passed: 0, failed: 1 });
  });

  test("so is an exit code that the counts do not explain", () => {
    expect(countsOf(report(7, 0, 0), 1)).toEqual({ passed: 7, failed: 1 });
    expect(countsOf(report(7, 0, 0), null)).toEqual({ passed: 7, failed: 1 });
  });
});
