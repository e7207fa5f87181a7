import { expect, test } from "bun:test";
import fc from "fast-check";
import { loweredPriority, PRIORITIES, priorityOfAccount } from "../../src/domain/priority.ts";

const priorities = fc.constantFrom(...PRIORITIES);

test("an account with more than 10,000 subscribers travels in normal", () => {
  expect(priorityOfAccount(10_000)).toBe("high");
  expect(priorityOfAccount(10_001)).toBe("normal");
});

test("a wish lowers the account's lane and never raises it", () => {
  fc.assert(
    fc.property(priorities, fc.option(priorities, { nil: undefined }), (ofAccount, wanted) => {
      const rank = (priority: (typeof PRIORITIES)[number]) => PRIORITIES.indexOf(priority);
      const expected = Math.max(rank(ofAccount), rank(wanted ?? "high"));
      expect(rank(loweredPriority(ofAccount, wanted))).toBe(expected);
    }),
  );
});
