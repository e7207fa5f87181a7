import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Mailbox } from "../../src/actor/mailbox.ts";

const LANES = ["high", "low"] as const;
type Lane = (typeof LANES)[number];
const lane = fc.constantFrom(...LANES);
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("push" as const), lane }) },
  fc.record({ kind: fc.constant("shift" as const), lane }),
  fc.record({ kind: fc.constant("popTail" as const) }),
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain" as const) }) },
);

describe("Mailbox", () => {
  test("behaves like a list per lane", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
        const mailbox = new Mailbox<Lane, number>();
        const model: Record<Lane, number[]> = { high: [], low: [] };
        operations.forEach((one, index) => {
          if (one.kind === "push") {
            mailbox.push(one.lane, index);
            model[one.lane].push(index);
          } else if (one.kind === "shift") expect(mailbox.shift(one.lane)).toBe(model[one.lane].shift());
          else if (one.kind === "drain") {
            const drained = mailbox.drain();
            expect(drained.toSorted((a, b) => a - b)).toEqual([...model.high, ...model.low].toSorted((a, b) => a - b));
            for (const each of LANES) {
              expect(drained.filter((item) => model[each].includes(item))).toEqual(model[each].splice(0));
            }
          } else {
            const longest = Math.max(model.high.length, model.low.length);
            const tails = LANES.filter((each) => model[each].length === longest).map((each) => model[each].at(-1));
            const tail = mailbox.popTail();
            expect(tails).toContain(tail);
            const from = LANES.find((each) => model[each].length > 0 && model[each].at(-1) === tail);
            if (from !== undefined) model[from].pop();
          }
          expect(mailbox.messages().toSorted((a, b) => a - b)).toEqual(
            [...model.high, ...model.low].toSorted((a, b) => a - b),
          );
          expect(mailbox.size).toBe(model.high.length + model.low.length);
          for (const each of LANES) expect(mailbox.has(each)).toBe(model[each].length > 0);
          for (const each of LANES) expect(mailbox.has(each)).toBe(model[each].length > 0);
        });
      }),
    );
  });
});
