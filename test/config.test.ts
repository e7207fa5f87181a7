import { describe, expect, test } from "bun:test";
import { ConfigError, type ConfigFault, type Environment, readConfig, readSettings, SETTINGS } from "../src/config.ts";

const KEY = Buffer.alloc(32, 7).toString("base64");
const COMPLETE: Environment = {
  DATABASE_URL: "postgres://fairpost:sesame@db:5432/fairpost",
  NATS_URL: "nats://one:4222,nats://two:4222",
  JWT_SECRET: "0123456789abcdef0123456789abcdef",
  SECRETS_KEY: KEY,
};

function faultsOf(read: () => unknown): readonly ConfigFault[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

/** The message about `name` when it has `value` and everything else is right. */
function faultOf(name: string, value: string): string | undefined {
  return faultsOf(() => readConfig({ ...COMPLETE, [name]: value }, "api")).find((fault) => fault.name === name)
    ?.message;
}

describe("readConfig", () => {
  test("fills in the defaults", () => {
    const config = readConfig(COMPLETE, "api");
    expect(config).toMatchObject({
      port: 8000,
      host: "127.0.0.1",
      registration: "open",
      workerConcurrency: 256,
      attemptTimeoutMs: 15_000,
      logLevel: "info",
      retentionDays: 30,
      natsReplicas: 1,
      egressAllow: [],
    });
    expect(config.retryScheduleS).toHaveLength(11);
    expect(config.secretsKey).toEqual(new Uint8Array(32).fill(7));
    expect(config.firstSuperuser).toBeUndefined();
  });

  test("every default is right", () => {
    for (const setting of Object.values(SETTINGS)) {
      if (setting.default !== undefined) expect(() => setting.parse(setting.default as string)).not.toThrow();
    }
  });

  test("reports all faults at once, each with the variable, the value and what would be right", () => {
    const faults = faultsOf(() =>
      readConfig({ PORT: "80000", LOG_LEVEL: "loud", NATS_URL: "http://x", RETRY_SCHEDULE: "1,,2" }, "worker"),
    );
    expect(faults.map(({ message }) => message)).toEqual([
      "PORT=80000: should be a whole number from 1 to 65535",
      expect.stringMatching(/^NATS_URL \(value not shown\): should look like nats:/),
      expect.stringMatching(/^RETRY_SCHEDULE=1,,2: should be up to 100 waits in seconds/),
      "LOG_LEVEL=loud: should be one of trace, debug, info, warn, error, fatal, silent",
      expect.stringMatching(/^DATABASE_URL is not set/),
      expect.stringMatching(/^JWT_SECRET is not set/),
      expect.stringMatching(/^SECRETS_KEY is not set/),
    ]);
  });

  test("the error lists them, too", () => {
    expect(() => readConfig({ ...COMPLETE, PORT: "x", HOST: "a b" }, "api")).toThrow(
      /^2 settings are wrong:\n {2}PORT=x: .*\n {2}HOST=a b: /,
    );
  });

  test.each([
    ["JWT_SECRET", "short-but-secret"],
    ["SECRETS_KEY", "c2VjcmV0"],
    ["SECRETS_KEY", "not base64!"],
    ["DATABASE_URL", "mysql://root:hush@db/x"],
    ["NATS_URL", "http://root:hush@nats"],
    ["FIRST_SUPERUSER_PASSWORD", "hush"],
  ])("never shows the value of %s", (name, value) => {
    const message = faultOf(name, value);
    expect(message).toStartWith(name);
    expect(message).not.toContain(value);
    expect(message).not.toContain("hush");
  });

  test.each([
    ["PORT", "0"],
    ["PORT", "1e3"],
    ["HOST", "not a host"],
    ["FIRST_SUPERUSER", "admin"],
    ["REGISTRATION", "maybe"],
    ["EGRESS_ALLOW", "10.0.0.0/33"],
    ["EGRESS_ALLOW", "10.0.0.0/8,"],
    ["EGRESS_ALLOW", "localhost"],
    ["EGRESS_ALLOW", "::ffff:10.0.0.0/8"],
    ["WORKER_CONCURRENCY", "0"],
    ["RETRY_SCHEDULE", "5,-1"],
    ["RETRY_SCHEDULE", "99999999"],
    ["ATTEMPT_TIMEOUT_MS", "999"],
    ["ATTEMPT_TIMEOUT_MS", "30001"],
    ["RETENTION_DAYS", "x"],
    ["NATS_REPLICAS", "2"],
  ])("refuses %s=%s", (name, value) => {
    expect(faultOf(name, value)).toStartWith(`${name}=${value}: `);
  });

  test("set to nothing is unset, except for EGRESS_ALLOW", () => {
    const config = readConfig({ ...COMPLETE, PORT: "", LOG_LEVEL: " ", FIRST_SUPERUSER: "" }, "api");
    expect([config.port, config.logLevel, config.firstSuperuser]).toEqual([8000, "info", undefined]);
    expect(readSettings({}, "start").egressAllow).toBeUndefined();
    expect(readSettings({ EGRESS_ALLOW: "" }, "start").egressAllow).toEqual([]);
  });

  test("EGRESS_ALLOW takes networks, and addresses for themselves alone", () => {
    const given = "10.0.0.0/8, 192.168.1.5,fd00::/8,::1,::ffff:10.0.0.0/104";
    expect(readConfig({ ...COMPLETE, EGRESS_ALLOW: given }, "api").egressAllow).toEqual(given.split(/, ?/));
  });

  test("a first superuser has an address and a password, or neither", () => {
    const pair = { FIRST_SUPERUSER: "a@b.example", FIRST_SUPERUSER_PASSWORD: "correct horse" };
    expect(readConfig({ ...COMPLETE, ...pair }, "api").firstSuperuser).toEqual({
      email: "a@b.example",
      password: "correct horse",
    });
    for (const [name, value] of Object.entries(pair)) {
      const [fault] = faultsOf(() => readConfig({ ...COMPLETE, [name]: value }, "api"));
      expect(fault?.name).not.toBe(name);
    }
  });

  test("retention outlives the retries", () => {
    expect(faultOf("RETENTION_DAYS", "2")).toMatch(/should be 5 or more$/);
  });
});

describe("readSettings", () => {
  test("start needs nothing, but secrets for a Postgres that is not its own", () => {
    expect(faultsOf(() => readSettings({}, "start"))).toEqual([]);
    const faults = faultsOf(() => readSettings({ DATABASE_URL: COMPLETE["DATABASE_URL"] }, "start"));
    expect(faults.map(({ name }) => name)).toEqual(["JWT_SECRET", "SECRETS_KEY"]);
  });

  test("migrate needs a database alone", () => {
    expect(faultsOf(() => readSettings({}, "migrate")).map(({ name }) => name)).toEqual(["DATABASE_URL"]);
    expect(faultsOf(() => readSettings({ DATABASE_URL: COMPLETE["DATABASE_URL"] }, "migrate"))).toEqual([]);
  });
});
