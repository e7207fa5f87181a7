import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isEventPattern, isEventType, isReserved, patternsMatching } from "../../src/domain/event-type.ts";

const word = fc.constantFrom("a", "b", "order", "paid", "subscriber", "webhook", "x_1");
const types = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("."));
const patterns = fc.oneof(
  fc.constant("*"),
  types,
  types.map((type) => `${type}.*`),
);

/** What CONTRACT says, word by word. */
function matchesNaively(pattern: string, type: string): boolean {
  if (type.startsWith("webhook.")) return pattern === type;
  if (pattern === "*" || pattern === type) return true;
  return pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1));
}

describe("patternsMatching", () => {
  test("holds a pattern exactly when it chooses the type", () => {
    fc.assert(
      fc.property(patterns, types, (pattern, type) => {
        expect(patternsMatching(type).includes(pattern)).toBe(matchesNaively(pattern, type));
      }),
      { numRuns: 2_000 },
    );
  });

  test("holds patterns only", () => {
    fc.assert(fc.property(types, (type) => expect(patternsMatching(type).every(isEventPattern)).toBe(true)));
  });
});

describe("types and patterns", () => {
  test("every type is a pattern, and a type with a wildcard is none", () => {
    fc.assert(
      fc.property(types, (type) => {
        expect(isEventType(type)).toBe(true);
        expect(isEventPattern(type)).toBe(true);
        expect(isEventType(`${type}.*`)).toBe(false);
      }),
    );
  });

  test.each(["", ".", "a.", ".a", "a..b", "A", "a b", "a.*.b", "**", "a*", "é", "a\n", "a".repeat(129)])(
    "%p is neither",
    (text) => {
      expect(isEventType(text)).toBe(false);
      expect(isEventPattern(text)).toBe(false);
    },
  );

  test("those of subscriber and webhook are Fairpost's own", () => {
    for (const type of ["subscriber.created", "subscriber.a.b", "webhook.disabled"]) {
      expect(isReserved(type)).toBe(true);
    }
    for (const type of ["subscriber", "webhook", "subscribers", "subscriber_x.y", "webhooks.a", "order.webhook"])
      expect(isReserved(type)).toBe(false);
  });
});
