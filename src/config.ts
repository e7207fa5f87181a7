// The settings, all from the environment: this file alone reads it. Everything is validated at the start, and all that is
// wrong is reported at once. A setting that is set to nothing counts as unset, except EGRESS_ALLOW, where it says something.

import { resolve } from "node:path";
import { RETRY_SCHEDULE_DEFAULT_S, scheduleLengthMs } from "./domain/backoff.ts";
import {
  ATTEMPT_TIMEOUT_MS_DEFAULT,
  ATTEMPT_TIMEOUT_MS_MAX,
  ATTEMPT_TIMEOUT_MS_MIN,
  PASSWORD_LENGTH_MAX,
  PASSWORD_LENGTH_MIN,
  WORKER_CONCURRENCY_DEFAULT,
} from "./domain/limits.ts";
import {
  base64Bytes,
  email,
  matching,
  natsUrls,
  networks,
  ofLength,
  oneOf,
  postgresUrl,
  secret,
  setting,
  waitsInSeconds,
  wholeNumber,
} from "./lib/setting.ts";

export type Role = "start" | "api" | "worker" | "migrate";

export type Environment = Readonly<Record<string, string | undefined>>;

const JWT_SECRET_CHARACTERS_MIN = 32;
const SECRETS_KEY_BYTES = 32;

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
const DATA_DIR_DEFAULT = ".data";
const DAY_MS = 86_400_000;

export const SETTINGS = {
  port: setting("PORT", "8000", "Where the API listens. Set and taken is an error; the default moves on.", (text) =>
    wholeNumber(text, 1, 65_535),
  ),
  host: setting("HOST", "127.0.0.1", "The address that the API listens on.", (text) =>
    matching(text, /^[\w.:-]+$/, "should be an address or a host name"),
  ),
  databaseUrl: secret("DATABASE_URL", "Postgres 15 or later; embedded unless set.", postgresUrl),
  natsUrl: secret("NATS_URL", "NATS 2.11 or later with JetStream, comma-separated; embedded unless set.", natsUrls),
  dataDir: setting(
    "DATA_DIR",
    DATA_DIR_DEFAULT,
    "Holds the embedded services and generated secrets; relative to the project.",
    (text) => resolve(import.meta.dirname, "..", text),
  ),
  jwtSecret: secret("JWT_SECRET", `Signs access tokens; ${JWT_SECRET_CHARACTERS_MIN} characters or more.`, (text) =>
    ofLength(text, JWT_SECRET_CHARACTERS_MIN, Number.POSITIVE_INFINITY),
  ),
  secretsKey: secret("SECRETS_KEY", "Encrypts signing secrets; 32 bytes, base64.", (text) =>
    base64Bytes(text, SECRETS_KEY_BYTES),
  ),
  firstSuperuserEmail: setting("FIRST_SUPERUSER", undefined, "E-mail of a superuser that is made at the start.", email),
  firstSuperuserPassword: secret("FIRST_SUPERUSER_PASSWORD", "The password it gets; 8 to 128 characters.", (text) =>
    ofLength(text, PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX),
  ),
  registration: setting("REGISTRATION", "open", "Whether anybody may sign up: open or closed.", (text) =>
    oneOf(text, ["open", "closed"] as const),
  ),
  egressAllow: setting(
    "EGRESS_ALLOW",
    undefined,
    "Networks that deliveries may reach although they are not public, comma-separated CIDRs. " +
      "Unset: loopback if Postgres and NATS are both embedded, else none. Set to nothing: none.",
    networks,
  ),
  workerConcurrency: setting(
    "WORKER_CONCURRENCY",
    String(WORKER_CONCURRENCY_DEFAULT),
    "Requests that a worker has under way at once, slow ones aside.",
    (text) => wholeNumber(text, 1, 10_000),
  ),
  retryScheduleS: setting(
    "RETRY_SCHEDULE",
    RETRY_SCHEDULE_DEFAULT_S.join(","),
    "Seconds between attempts, comma-separated: N entries are N retries.",
    waitsInSeconds,
  ),
  attemptTimeoutMs: setting(
    "ATTEMPT_TIMEOUT_MS",
    String(ATTEMPT_TIMEOUT_MS_DEFAULT),
    "How long one attempt may take in all.",
    (text) => wholeNumber(text, ATTEMPT_TIMEOUT_MS_MIN, ATTEMPT_TIMEOUT_MS_MAX),
  ),
  logLevel: setting("LOG_LEVEL", "info", `What is logged: ${LOG_LEVELS.join(", ")}.`, (text) =>
    oneOf(text, LOG_LEVELS),
  ),
  retentionDays: setting(
    "RETENTION_DAYS",
    "30",
    "Days after which events, deliveries and attempts are dropped.",
    (text) => wholeNumber(text, 1, 3_650),
  ),
  natsReplicas: setting(
    "NATS_REPLICAS",
    "1",
    "Copies of the stream and the leases in a NATS cluster: 1, 3 or 5.",
    (text) => Number(oneOf(text, ["1", "3", "5"] as const)),
  ),
};

/** Where one process listens and keeps its files. */
const OF_ONE_PROCESS = new Set(["PORT", "HOST", "DATA_DIR"]);

/** The names of all others: they should be the same wherever a fleet runs. A lease outlives the longest attempt. */
export const FLEET_SETTINGS = Object.values(SETTINGS).flatMap(({ name }) => (OF_ONE_PROCESS.has(name) ? [] : [name]));

type Key = keyof typeof SETTINGS;
type Parsed = { [K in Key]: ReturnType<(typeof SETTINGS)[K]["parse"]> };
type WithoutDefault =
  | "databaseUrl"
  | "natsUrl"
  | "jwtSecret"
  | "secretsKey"
  | "firstSuperuserEmail"
  | "firstSuperuserPassword"
  | "egressAllow";

/** Every setting; those without a default may be undefined. */
export type Settings = { readonly [K in Key]: K extends WithoutDefault ? Parsed[K] | undefined : Parsed[K] };

/** What `api` and `worker` run on: nothing that they need is missing. */
export type Config = Settings & {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly jwtSecret: string;
  readonly secretsKey: Uint8Array;
  /** Made at the start unless it exists; undefined: nobody is. */
  readonly firstSuperuser: { readonly email: string; readonly password: string } | undefined;
  /** `address/bits`; empty: public addresses only. */
  readonly egressAllow: readonly string[];
};

export type ConfigFault = { name: string; message: string };

export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const title = faults.length === 1 ? "A setting is wrong:" : `${faults.length} settings are wrong:`;
    super([title, ...faults.map((fault) => `  ${fault.message}`)].join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/** The environment of this process. */
export function environment(): Environment {
  return process.env;
}

/** DATA_DIR alone: where to look for running services, before the rest can be complete. */
export function dataDirOf(env: Environment): string {
  return SETTINGS.dataDir.parse(env["DATA_DIR"]?.trim() || DATA_DIR_DEFAULT);
}

/** For `start` and `migrate`, which have their own idea of what may be missing. Throws ConfigError with all faults. */
export function readSettings(env: Environment, role: "start" | "migrate"): Settings {
  return parseAll(env, role) as Settings;
}

/** For the roles that do the work. Throws ConfigError with all faults. */
export function readConfig(env: Environment, role: "api" | "worker"): Config {
  const complete = parseAll(env, role) as Config;
  const { firstSuperuserEmail, firstSuperuserPassword } = complete;
  return {
    ...complete,
    firstSuperuser:
      firstSuperuserEmail === undefined || firstSuperuserPassword === undefined
        ? undefined
        : { email: firstSuperuserEmail, password: firstSuperuserPassword },
    egressAllow: complete.egressAllow ?? [],
  };
}

function parseAll(env: Environment, role: Role): Partial<Settings> {
  const settings: Record<string, unknown> = {};
  const faults: ConfigFault[] = [];
  for (const [key, { name, default: fallback, isSecret, parse }] of Object.entries(SETTINGS)) {
    const given = env[name];
    const isSet = given !== undefined && (given.trim() !== "" || name === "EGRESS_ALLOW");
    // Spaces may belong to a password.
    const text = isSet ? (name === "FIRST_SUPERUSER_PASSWORD" ? given : given.trim()) : fallback;
    if (text === undefined) continue;
    try {
      settings[key] = parse(text);
    } catch (error) {
      const shown = isSecret ? "(value not shown)" : `=${text}`;
      faults.push({ name, message: `${name}${isSecret ? " " : ""}${shown}: ${(error as Error).message}` });
    }
  }
  const wrong = new Set(faults.map(({ name }) => name));
  faults.push(...missing(settings, role).filter(({ name }) => !wrong.has(name)), ...contradictions(settings));
  if (faults.length > 0) throw new ConfigError(faults);
  return settings;
}

function contradictions({ retryScheduleS, retentionDays }: Partial<Settings>): ConfigFault[] {
  if (retryScheduleS === undefined || retentionDays === undefined) return [];
  const neededDays = Math.ceil(scheduleLengthMs(retryScheduleS) / DAY_MS) + 1;
  if (retentionDays >= neededDays) return [];
  const why = `would drop deliveries that RETRY_SCHEDULE still retries; should be ${neededDays} or more`;
  return [{ name: "RETENTION_DAYS", message: `RETENTION_DAYS=${retentionDays}: ${why}` }];
}

/** What the role cannot do without. */
function missing(settings: Partial<Settings>, role: Role): ConfigFault[] {
  const has = (key: Key) => key in settings;
  const faults: ConfigFault[] = [];
  const require = (key: Key, what: string) => {
    const { name } = SETTINGS[key];
    if (!has(key)) faults.push({ name, message: `${name} is not set: ${what}` });
  };
  const isRole = role === "api" || role === "worker";
  if (role !== "start") require("databaseUrl", WHERE_SERVICES);
  if (isRole) require("natsUrl", WHERE_SERVICES);
  // With a Postgres of our own they are generated, and kept beside it.
  if (isRole || (role === "start" && has("databaseUrl"))) {
    require("jwtSecret", `should be ${JWT_SECRET_CHARACTERS_MIN} random characters or more (openssl rand -base64 48)`);
    require("secretsKey", `should be ${SECRETS_KEY_BYTES} random bytes in base64 (openssl rand -base64 32)`);
    if (has("firstSuperuserEmail")) require("firstSuperuserPassword", "FIRST_SUPERUSER needs a password");
    if (has("firstSuperuserPassword"))
      require("firstSuperuserEmail", "FIRST_SUPERUSER_PASSWORD needs an e-mail address");
  }
  return faults;
}

const WHERE_SERVICES = "should be a URL, unless `bun run start` is running on the same DATA_DIR";
