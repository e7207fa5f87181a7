// The scenarios by name: which accounts there are, how their receivers behave, and what they send in the noisy phase.
// In each, small accounts ("victims") send a steady trickle to healthy receivers all the while.

import type { Random } from "../lib/random.ts";
import type { Behaviour } from "./receiver/behaviour.ts";

export type Load =
  /** So many events a second, for so long. */
  | { kind: "rate"; perSecond: number; forS: number }
  /** So many events, as fast as they are taken. */
  | { kind: "count"; events: number };

export type Group = {
  name: string;
  users: number;
  webhooksPerUser: number;
  /** Of the group's nth receiver. */
  behaviourOf: (nth: number) => Behaviour;
  load: Load;
  /** Of each account, beside a load by rate and for as long as that. */
  reads?: Reads;
};

/** A list of so many subscribers, asked for over and over by so many requests at once. */
export type Reads = { subscribers: number; atOnce: number };

/** What the command line may say of the noise; each scenario has its own idea of the rest. */
export type Noise = {
  users: number | undefined;
  webhooks: number | undefined;
  subscribers: number | undefined;
  rate: number | undefined;
  forS: number;
  latencyMs: number;
  random: Random;
};

type Scenario = { description: string; groups: (noise: Noise) => Group[] };

const DEAD_PERCENT = 5;
const SLOW_MS = 4_000;

export const SCENARIOS = {
  steady: {
    description: "healthy accounts (10) send at a rate (500/s)",
    groups: (noise) => [group("steady", noise, { users: 10, webhooks: 1, rate: 500 }, answering(noise))],
  },
  burst: {
    description: "one account posts a backlog at once: 20,000 subscribers for 10 webhooks",
    groups: (noise) => [group("burst", noise, { users: 1, webhooks: 10, subscribers: 20_000 }, answering(noise))],
  },
  slow: {
    description: "one account's 50 receivers take 4 s each",
    groups: (noise) => [
      group("slow", noise, { users: 1, webhooks: 50, rate: 10 }, always({ kind: "answer", latencyMs: SLOW_MS })),
    ],
  },
  "black-hole": {
    description: "one account's 500 receivers never answer",
    groups: (noise) => [group("black-hole", noise, { users: 1, webhooks: 500, rate: 1 }, always({ kind: "hang" }))],
  },
  dead: {
    description: "5 % of the receivers of 20 accounts (5 webhooks each) refuse connections",
    groups: (noise) => {
      const users = noise.users ?? 20;
      const webhooks = noise.webhooks ?? 5;
      const dead = chosen(users * webhooks, DEAD_PERCENT, noise.random);
      const behaviourOf = (nth: number): Behaviour => (dead.has(nth) ? { kind: "refuse" } : answering(noise)(nth));
      return [group("dead", noise, { users, webhooks, rate: 100 }, behaviourOf)];
    },
  },
  reads: {
    description: "one account lists its 10,000 subscribers over and over, a thousand at a time, 4 requests at once",
    groups: (noise) => [
      {
        ...group("reads", noise, { users: 1, webhooks: 1, rate: 1 }, answering(noise)),
        reads: { subscribers: 10_000, atOnce: 4 },
      },
    ],
  },
  mixed: {
    description: "a burst, slow, black-hole, dead, failing, dripping and resetting receivers, all at once",
    groups: (noise) => {
      const own = { ...noise, users: undefined, webhooks: undefined, rate: undefined, subscribers: undefined };
      return [
        group("steady", noise, { users: 5, webhooks: 2, rate: 50 }, answering(noise)),
        group(
          "burst",
          { ...own, subscribers: noise.subscribers },
          { users: 1, webhooks: 5, subscribers: 5_000 },
          answering(noise),
        ),
        group("slow", own, { users: 1, webhooks: 20, rate: 5 }, always({ kind: "answer", latencyMs: SLOW_MS })),
        group("black-hole", own, { users: 1, webhooks: 100, rate: 1 }, always({ kind: "hang" })),
        group(
          "faulty",
          own,
          { users: 5, webhooks: 5, rate: 10 },
          (nth) => FAULTS[nth % FAULTS.length] ?? { kind: "hang" },
        ),
      ];
    },
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

const FAULTS: readonly Behaviour[] = [
  { kind: "refuse" },
  { kind: "error", percent: 50 },
  { kind: "busy", percent: 50 },
  { kind: "reset" },
  { kind: "drip", everyMs: 300 },
];

export function victims(users: number, perSecond: number, latencyMs: number): Group {
  const load = { kind: "rate", perSecond, forS: Number.POSITIVE_INFINITY } as const;
  return { name: "victims", users, webhooksPerUser: 1, behaviourOf: always({ kind: "answer", latencyMs }), load };
}

type Defaults = { users: number; webhooks: number } & ({ rate: number } | { subscribers: number });

function group(name: string, noise: Noise, defaults: Defaults, behaviourOf: Group["behaviourOf"]): Group {
  const users = noise.users ?? defaults.users;
  return {
    name,
    users,
    webhooksPerUser: noise.webhooks ?? defaults.webhooks,
    behaviourOf,
    load: loadOf(noise, defaults),
  };
}

/** A count that is named wins over a rate that is not, and the other way round. */
function loadOf({ subscribers, rate, forS }: Noise, defaults: Defaults): Load {
  if (subscribers !== undefined) return { kind: "count", events: subscribers };
  if (rate !== undefined) return { kind: "rate", perSecond: rate, forS };
  if ("rate" in defaults) return { kind: "rate", perSecond: defaults.rate, forS };
  return { kind: "count", events: defaults.subscribers };
}

function answering({ latencyMs }: Noise): Group["behaviourOf"] {
  return always({ kind: "answer", latencyMs });
}

function always(behaviour: Behaviour): Group["behaviourOf"] {
  return () => behaviour;
}

/** `percent` of the numbers below `count`, at least one. */
function chosen(count: number, percent: number, random: Random): Set<number> {
  const wanted = Math.max(1, Math.round((count * percent) / 100));
  const numbers = new Set<number>();
  while (numbers.size < Math.min(wanted, count)) numbers.add(Math.floor(random() * count));
  return numbers;
}
