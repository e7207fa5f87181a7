import { expect, test } from "bun:test";
import { HELP, parseOptions, UsageError } from "../../src/load/options.ts";
import { seededRandom } from "../../src/lib/random.ts";
import { SCENARIO_NAMES, SCENARIOS } from "../../src/load/scenarios.ts";

test("help tells of every scenario", () => {
  expect(parseOptions(["--help"])).toBeUndefined();
  for (const name of SCENARIO_NAMES) expect(HELP).toContain(`  ${name} `);
});

test.each(["--scenario nope", "--rate fast", "--batch 1001", "--nope", "--api here"])("%s is refused", (line) => {
  expect(() => parseOptions(line.split(" "))).toThrow(UsageError);
});

test("what the command line names wins over the scenario's own idea", () => {
  const groupsOf = (...args: string[]) => {
    const options = parseOptions(args);
    if (options === undefined) throw new Error("no options");
    return SCENARIOS[options.scenario].groups({ ...options, random: seededRandom(options.seed) });
  };
  expect(groupsOf("--scenario", "burst")[0]).toMatchObject({ users: 1, load: { kind: "count", events: 20_000 } });
  expect(groupsOf("--scenario", "burst", "--rate", "7")[0]?.load).toEqual({ kind: "rate", perSecond: 7, forS: 20 });
  expect(groupsOf("--users", "3", "--subscribers", "9")[0]).toMatchObject({
    users: 3,
    load: { kind: "count", events: 9 },
  });
});

test("5 % of a dead scenario's receivers refuse, the same ones for the same seed", () => {
  const deadOf = (seed: number) => {
    const options = parseOptions(["--scenario", "dead", "--seed", String(seed)]);
    if (options === undefined) throw new Error("no options");
    const [group] = SCENARIOS.dead.groups({ ...options, random: seededRandom(seed) });
    return Array.from({ length: 100 }, (_, nth) => group?.behaviourOf(nth).kind).flatMap((kind, nth) =>
      kind === "refuse" ? [nth] : [],
    );
  };
  expect(deadOf(1)).toHaveLength(5);
  expect(deadOf(1)).toEqual(deadOf(1));
  expect(deadOf(1)).not.toEqual(deadOf(2));
});
