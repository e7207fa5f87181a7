import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ConfigError, readSettings } from "../../src/config.ts";
import { DataDir, DataDirInUseError, findRun, withDataDirFault, withRunningServices } from "../../src/dev/data-dir.ts";
import { identify } from "../../src/dev/processes.ts";
import { testFolder } from "../support/services.ts";

test("one holder at a time, whose pid the others are told", async () => {
  const path = await testFolder("data-dir");
  const held = DataDir.take(path);
  expect(() => DataDir.take(path)).toThrow(DataDirInUseError);
  expect(() => DataDir.take(path)).toThrow(`pid ${process.pid}`);
  held.release();
  DataDir.take(path).release();
});

test("a holder that was killed holds nothing, whatever its files say", async () => {
  const path = await testFolder("data-dir");
  const script = `
    import { DataDir } from ${JSON.stringify(join(import.meta.dirname, "../../src/dev/data-dir.ts"))};
    DataDir.take(${JSON.stringify(path)}).writeRun({ processes: [], environment: {} });
    process.kill(process.pid, "SIGKILL");
  `;
  await Bun.spawn([process.execPath, "-e", script]).exited;
  expect(existsSync(join(path, "run.json"))).toBe(true);
  expect(findRun(path)).toBeUndefined();
  const held = DataDir.take(path);
  expect(readFileSync(join(path, "pid"), "utf8")).toBe(`${process.pid}\n`);
  await held.endOrphans();
  expect(existsSync(join(path, "run.json"))).toBe(false);
  held.release();
});

test("orphans are ended, strangers under their pids are not", async () => {
  const path = await testFolder("data-dir");
  const held = DataDir.take(path);
  const orphan = Bun.spawn(["sleep", "60"]);
  const stranger = Bun.spawn(["sleep", "60"]);
  held.writeRun({
    processes: [
      { name: "worker", ...identify(orphan.pid) },
      { name: "api", pid: stranger.pid, startTicks: "1" },
    ],
    environment: {},
  });
  await held.endOrphans();
  expect(await orphan.exited).not.toBe(0);
  expect(stranger.exitCode).toBeNull();
  stranger.kill("SIGKILL");
  held.release();
});

test("a secret is made once and kept for our eyes only", async () => {
  const path = await testFolder("data-dir");
  const held = DataDir.take(path);
  expect(held.keptSecret("A", () => "first")).toEqual({ value: "first", isNew: true });
  expect(held.keptSecret("B", () => "other")).toEqual({ value: "other", isNew: true });
  expect(held.keptSecret("A", () => "second")).toEqual({ value: "first", isNew: false });
  expect(statSync(join(path, "secrets.json")).mode & 0o777).toBe(0o600);
  held.release();
});

test("a running start's services fill in what is not set, and its secrets go with its Postgres", async () => {
  const path = await testFolder("data-dir");
  const environment = {
    DATABASE_URL: "postgres://a/b",
    NATS_URL: "nats://c",
    JWT_SECRET: "j",
    EGRESS_ALLOW: "::1/128",
  };
  expect(withRunningServices({}, path)).toEqual({});
  const held = DataDir.take(path);
  held.writeRun({ processes: [], environment });
  expect(withRunningServices({ NATS_URL: "" }, path)).toEqual(environment);
  expect(withRunningServices({ JWT_SECRET: "own" }, path)["JWT_SECRET"]).toBe("own");
  expect(withRunningServices({ DATABASE_URL: "postgres://x/y" }, path)).toEqual({
    DATABASE_URL: "postgres://x/y",
    NATS_URL: "nats://c",
  });
  expect(withRunningServices({ NATS_URL: "nats://x" }, path)).toEqual({
    NATS_URL: "nats://x",
    DATABASE_URL: "postgres://a/b",
    JWT_SECRET: "j",
  });
  held.release();
  writeFileSync(join(path, "run.json"), "half a fi");
  expect(findRun(path)).toBeUndefined();
});

test("who joins a running start takes over its settings, but for those of its own", async () => {
  const path = await testFolder("data-dir");
  const held = DataDir.take(path);
  const services = { DATABASE_URL: "postgres://a/b", NATS_URL: "nats://c" };
  const settings = { ATTEMPT_TIMEOUT_MS: "5000", RETRY_SCHEDULE: "1,2", EGRESS_ALLOW: "::1/128" };
  held.writeRun({ processes: [], environment: { ...services, ...settings } });
  expect(withRunningServices({}, path)).toEqual({ ...services, ...settings });
  expect(withRunningServices(services, path)).toEqual({ ...services, ...settings });
  const own = { RETRY_SCHEDULE: "9", EGRESS_ALLOW: "", ATTEMPT_TIMEOUT_MS: " " };
  expect(withRunningServices(own, path)).toEqual({ ...services, ...own, ATTEMPT_TIMEOUT_MS: "5000" });
  // Another fleet, though it shares a server.
  expect(withRunningServices({ NATS_URL: "nats://x" }, path)).toEqual({ ...services, NATS_URL: "nats://x" });
  held.release();
});

test("a folder that cannot be made or written to is a fault of the setting", async () => {
  const file = join(await testFolder("data-dir"), "file");
  writeFileSync(file, "");
  expect(() => DataDir.take(file)).toThrow(`DATA_DIR=${file}: should be a folder`);
  expect(() => DataDir.take("/proc/nowhere")).toThrow("DATA_DIR=/proc/nowhere: ");
});

test("a folder that cannot be looked into is a fault among those of the other settings", async () => {
  const path = await testFolder("data-dir");
  const read = () => readSettings({ PORT: "-1", LOG_LEVEL: "x" }, "migrate");
  const namesOf = (folder: string, reading: () => unknown): string[] => {
    try {
      withDataDirFault(folder, reading);
    } catch (error) {
      return (error as ConfigError).faults.map(({ name }) => name);
    }
    return [];
  };
  const file = join(path, "file");
  writeFileSync(file, "");
  expect(namesOf(file, read)).toEqual(["DATA_DIR", "PORT", "LOG_LEVEL", "DATABASE_URL"]);
  expect(namesOf(file, () => withRunningServices({}, file))).toEqual(["DATA_DIR"]);
  expect(namesOf(path, read)).toEqual(["PORT", "LOG_LEVEL", "DATABASE_URL"]);
  expect(withDataDirFault(join(path, "not-yet"), () => "read")).toBe("read");
});

test("what cannot be removed does not keep a holder from leaving, nor the next one from coming", async () => {
  const path = await testFolder("data-dir");
  const held = DataDir.take(path);
  mkdirSync(join(path, "run.json"));
  held.release();
  expect(existsSync(join(path, "pid"))).toBe(false);
  DataDir.take(path).release();
});
