// The command line of `bun run load`.

import { parseArgs } from "node:util";
import { SCENARIO_NAMES, SCENARIOS, type ScenarioName } from "./scenarios.ts";

export type PostMode = "single" | "batch" | "event";

export type Options = {
  scenario: ScenarioName;
  /** Undefined: an instance of our own. */
  api: string | undefined;
  dataDir: string | undefined;
  workers: number | undefined;
  users: number | undefined;
  webhooks: number | undefined;
  subscribers: number | undefined;
  rate: number | undefined;
  forS: number;
  post: PostMode;
  batch: number;
  concurrency: number;
  latencyMs: number;
  victims: number;
  trickle: number;
  warmUpS: number;
  quietS: number;
  drainS: number;
  seed: number;
  out: string;
  log: string | undefined;
  keep: boolean;
};

export class UsageError extends Error {}

/** The most that one request may hold, and that Bun's fetch keeps in flight with room for the victims. */
export const BATCH_MAX = 1_000;
const CONCURRENCY_MAX = 200;

type Flag = { value: string; text: string; default?: string };

const FLAGS = {
  scenario: { value: "<name>", text: `${SCENARIO_NAMES.join(", ")}`, default: "steady" },
  api: {
    value: "<url>",
    text: "a running Fairpost, whose EGRESS_ALLOW lets it reach loopback; else one of its own is started",
  },
  "data-dir": {
    value: "<folder>",
    text: "the DATA_DIR of --api, for its processes' CPU and memory, and for --workers",
  },
  workers: { value: "<n>", text: "workers in all of an instance of its own (1), or to add to --api (0)" },
  users: { value: "<n>", text: "noisy accounts" },
  webhooks: { value: "<n>", text: "webhooks of each noisy account" },
  subscribers: { value: "<n>", text: "events that the noisy accounts post, as fast as they are taken" },
  rate: { value: "<n>", text: "or so many a second, in all," },
  for: { value: "<seconds>", text: "for so long", default: "20" },
  post: {
    value: "<how>",
    text: "the noise: single (POST /subscribers), batch (/subscribers/batch), event (/events)",
    default: "single",
  },
  batch: { value: "<n>", text: "subscribers in one batch, up to 1,000", default: "1000" },
  concurrency: { value: "<n>", text: "the noise's requests in flight at the most", default: "64" },
  latency: { value: "<ms>", text: "how long healthy receivers take to answer", default: "0" },
  victims: { value: "<n>", text: "small accounts with one webhook each", default: "10" },
  trickle: { value: "<n>", text: "events a second of all the victims together", default: "50" },
  "warm-up": { value: "<seconds>", text: "trickle that is not counted in latencies, at first", default: "3" },
  quiet: { value: "<seconds>", text: "trickle without noise, to compare with", default: "10" },
  drain: {
    value: "<seconds>",
    text: "without any delivery, after which what is missing counts as lost",
    default: "30",
  },
  seed: { value: "<n>", text: "of everything that is left to chance", default: "1" },
  out: { value: "<folder>", text: "where <scenario>.json and <scenario>.html go", default: "load-report" },
  log: { value: "<file>", text: "what an instance of its own writes; thrown away else" },
} as const satisfies Record<string, Flag>;

type FlagName = keyof typeof FLAGS;

export const HELP = `Usage: bun run load [options]

Puts a Fairpost under load over HTTP, with accounts, webhooks, subscribers and receivers of its own, and checks what
arrives: lost, duplicated, overlapping, out of order. Small accounts send a trickle all the while: how much later does
it arrive beside the noise than when all is quiet? Prints a line a second, and writes a JSON and an HTML report.
Exit code 1 if anything accepted did not arrive at a healthy receiver. Ctrl-C ends it early and reports.

Scenarios:
${SCENARIO_NAMES.map((name) => `  ${name.padEnd(12)}${SCENARIOS[name].description}`).join("\n")}

Options [defaults; where there is none, the scenario's own]:
${Object.entries(FLAGS).map(flagLine).join("\n")}
  --keep                   leave the accounts at --api in place
  --help

Examples:
  bun run load                                                 500 events/s for 20 s at an instance of its own
  bun run load --scenario burst --workers 2                    a backlog of 200,000 deliveries, two workers
  bun run load --subscribers 50000 --users 100 --workers 4     does load spread evenly?
  bun run load --scenario black-hole --quiet 30 --for 60       longer, for a steadier p99
  bun run load --api http://127.0.0.1:8000 --data-dir .data    a running one
`;

/** Undefined when help was asked for. Throws UsageError. */
export function parseOptions(args: string[]): Options | undefined {
  const values = parsed(args);
  if (values["help"] === true) return undefined;
  const text = (name: FlagName): string | undefined => {
    const flag: Flag = FLAGS[name];
    return (values[name] as string | undefined) ?? flag.default;
  };
  const number = (name: FlagName, min: number, max: number): number => numberIn(name, text(name) ?? "", min, max);
  const whole = (name: FlagName, min: number, max: number): number | undefined => {
    const given = text(name);
    return given === undefined ? undefined : Math.floor(numberIn(name, given, min, max));
  };
  const api = text("api");
  if (api !== undefined && !URL.canParse(api)) throw new UsageError(`--api ${api}: should be a URL`);
  return {
    scenario: oneOf("scenario", text("scenario"), SCENARIO_NAMES),
    api,
    dataDir: text("data-dir"),
    workers: whole("workers", 0, 64),
    users: whole("users", 1, 10_000),
    webhooks: whole("webhooks", 1, 1_000),
    subscribers: whole("subscribers", 1, 4_000_000),
    rate: text("rate") === undefined ? undefined : number("rate", 0.01, 100_000),
    forS: number("for", 1, 86_400),
    post: oneOf("post", text("post"), ["single", "batch", "event"]),
    batch: Math.floor(number("batch", 1, BATCH_MAX)),
    concurrency: Math.floor(number("concurrency", 1, CONCURRENCY_MAX)),
    latencyMs: Math.floor(number("latency", 0, 60_000)),
    victims: Math.floor(number("victims", 1, 1_000)),
    trickle: number("trickle", 0.1, 10_000),
    warmUpS: number("warm-up", 0, 3_600),
    quietS: number("quiet", 0, 86_400),
    drainS: number("drain", 1, 86_400),
    seed: Math.floor(number("seed", 0, 2 ** 31)),
    out: text("out") ?? "",
    log: text("log"),
    keep: values["keep"] === true,
  };
}

function parsed(args: string[]): Record<string, string | boolean | undefined> {
  const strings = Object.fromEntries(Object.keys(FLAGS).map((name) => [name, { type: "string" as const }]));
  try {
    const options = { ...strings, keep: { type: "boolean" as const }, help: { type: "boolean" as const, short: "h" } };
    return parseArgs({ args, options, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

function numberIn(name: string, text: string, min: number, max: number): number {
  const number = Number(text.replaceAll("_", ""));
  if (text.trim() === "" || Number.isNaN(number) || number < min || number > max) {
    throw new UsageError(`--${name} ${text}: should be a number from ${min} to ${max}`);
  }
  return number;
}

function oneOf<Word extends string>(name: string, text: string | undefined, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new UsageError(`--${name} ${text}: should be one of ${words.join(", ")}`);
  return word;
}

function flagLine([name, flag]: [string, Flag]): string {
  const fallback = flag.default === undefined ? "" : ` [${flag.default}]`;
  return `  ${`--${name} ${flag.value}`.padEnd(25)}${flag.text}${fallback}`;
}
