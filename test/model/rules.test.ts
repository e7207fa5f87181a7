// The rules that keep delivery exact, explored: with all of them nothing goes wrong, without any of them something does.

import { describe, expect, test } from "bun:test";
import { explore, wander } from "./explore.ts";
import { ALL_RULES, type Bounds, type Rules } from "./state.ts";

const TIMEOUT_MS = 60_000;
const CALM: Bounds = { faultsLeft: 0, replaysLeft: 1, returnsLeft: 1, attemptsMax: 2 };
const ONE_FAULT: Bounds = { faultsLeft: 1, replaysLeft: 0, returnsLeft: 0, attemptsMax: 2 };
const FEW: Bounds = { ...ONE_FAULT, attemptsMax: 1 };
const FEW_AND_CALM: Bounds = { ...FEW, faultsLeft: 0, returnsLeft: 1 };

describe("with every rule", () => {
  test(
    "a delivery is never lost, never stuck, never twice in flight, and never sent again, when nothing breaks",
    () => {
      const { states, violation } = explore(ALL_RULES, CALM);
      expect(violation).toBe(undefined);
      expect(states).toBeGreaterThan(10_000);
    },
    TIMEOUT_MS,
  );

  test(
    "nor when anything breaks once, but for what was in flight or unrecorded",
    () => {
      const { states, violation } = explore(ALL_RULES, ONE_FAULT);
      expect(violation).toBe(undefined);
      expect(states).toBeGreaterThan(100_000);
    },
    TIMEOUT_MS,
  );

  test(
    "nor in long histories in which things break again and again",
    () => {
      const bounds = { faultsLeft: 3, replaysLeft: 2, returnsLeft: 4, attemptsMax: 3 };
      expect(wander(ALL_RULES, bounds, 3_000, 120).violation).toBe(undefined);
    },
    TIMEOUT_MS,
  );
});

describe("without", () => {
  const without = (...rules: (keyof Rules)[]): Rules => ({
    ...ALL_RULES,
    ...Object.fromEntries(rules.map((rule) => [rule, false])),
  });
  const TWICE = "sent once more than the guarantee allows";
  const cases: [why: string, rules: (keyof Rules)[], bounds: Bounds, what: string][] = [
    [
      "the generation in the message id, what went back to the table is swallowed",
      ["generationInId"],
      FEW_AND_CALM,
      "stuck until it is repaired, although nothing went wrong",
    ],
    [
      "fences, a late note says of a row in the table that it is in the stream",
      ["fencedNotes"],
      FEW_AND_CALM,
      "stuck until it is repaired, although nothing went wrong",
    ],
    ["a fence, a late result undoes a success", ["fencedResults"], ONE_FAULT, "completed, and pending again"],
    ["a look at the row, a redelivered message is sent again", ["checkedMessages"], ONE_FAULT, TWICE],
    [
      "refill leaving alone what is held, and the worker taking one message of a delivery in hand, two are in flight",
      ["refillSkipsHeld", "oneInHand"],
      CALM,
      "two requests at once",
    ],
    ["the deadline rule, two workers send at once", ["deadlineRule"], ONE_FAULT, "two requests at once"],
    [
      "new epochs and the reconciler, a deleted stream takes its deliveries with it",
      ["newEpoch", "reconciler"],
      FEW,
      "stuck",
    ],
    ["the reconciler, so does a lost message", ["reconciler"], FEW, "stuck"],
  ];
  test.each(cases)(
    "%s",
    (_, rules, bounds, what) => {
      expect(explore(without(...rules), bounds).violation?.what).toBe(what);
    },
    TIMEOUT_MS,
  );
});
