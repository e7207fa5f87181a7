// `bun run start` for real: real Postgres and NATS, an api and a worker that do nothing.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import postgres from "postgres";
import { isRunning, type ProcessIdentity, processesBelow, sendSignal } from "../../src/dev/processes.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { FakeProject, type RunningCommand } from "../support/fake-project.ts";
import { eventually } from "../support/services.ts";

const NAMES = ["api", "worker", "postgres", "nats"] as const;

let project: FakeProject;
beforeAll(async () => {
  project = await FakeProject.make();
});
afterAll(() => project.remove());

const started: RunningCommand[] = [];
afterEach(async () => {
  for (const running of started.splice(0)) await running.end();
});

async function start(env: Record<string, string> = {}): Promise<RunningCommand> {
  const running = await project.start(env);
  started.push(running);
  return running;
}

function processes(): Record<(typeof NAMES)[number], ProcessIdentity> {
  return Object.fromEntries(NAMES.map((name) => [name, project.identityOf(name)])) as never;
}

const serversLeft = () => processesBelow(project.dataDir, ["postgres", "nats-server"]);

describe("bun run start", () => {
  test("starts everything, says where it is, and on SIGTERM leaves nothing", async () => {
    const running = await start();
    const pids = processes();
    expect(running.output()).toContain(`${project.apiUrl}/docs`);
    expect(running.output()).toMatch(/admin@example\.com, password \S+ \(shown this once/);
    expect(statSync(join(project.dataDir, "run.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(project.dataDir, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(await (await fetch(project.apiUrl)).json()).toMatchObject({
      egressAllow: ["127.0.0.0/8", "::1/128"],
      firstSuperuser: { email: "admin@example.com" },
    });
    const sql = postgres(project.run.environment["DATABASE_URL"] ?? "", { max: 1 });
    expect(await sql`SELECT count(*)::int AS users FROM users`).toEqual([{ users: 0 }] as never);
    await sql.end();

    expect(await running.end("SIGTERM")).toBe(0);
    expect(running.output()).toContain("worker stopped");
    expect(Object.values(pids).filter(isRunning)).toEqual([]);
    expect(serversLeft()).toEqual([]);
    expect(existsSync(join(project.dataDir, "run.json"))).toBe(false);
  });

  test("keeps its secrets, and does not show the password again", async () => {
    const secrets = readFileSync(join(project.dataDir, "secrets.json"), "utf8");
    const running = await start();
    expect(running.output()).toContain("password in .data/secrets.json");
    expect(readFileSync(join(project.dataDir, "secrets.json"), "utf8")).toBe(secrets);
  });

  test("a second start on the same DATA_DIR exits 1 and names the pid", async () => {
    const running = await start();
    const second = project.command(["src/main.ts", "start"]);
    expect(await second.process.exited).toBe(1);
    expect(second.output()).toContain(`already running on ${project.dataDir} (pid ${running.identity.pid})`);
    expect(Object.values(processes()).every(isRunning)).toBe(true);
  });

  test("what dies is started again where it was", async () => {
    await start();
    const { environment } = project.run;
    const url = project.apiUrl;
    for (const name of NAMES) {
      const before = project.identityOf(name);
      sendSignal(before.pid, "SIGKILL");
      await eventually(() => {
        expect(project.identityOf(name).pid).not.toBe(before.pid);
        expect(isRunning(project.identityOf(name))).toBe(true);
      });
    }
    expect(project.run.environment).toEqual(environment);
    expect((await fetch(url)).status).toBe(200);
    const sql = postgres(environment["DATABASE_URL"] ?? "", { max: 1 });
    expect(await sql`SELECT 1 AS one`).toEqual([{ one: 1 }] as never);
    await sql.end();
  });

  test("what dies is started again once, and stopped in the end, though run.json cannot be written", async () => {
    const running = await start();
    const before = project.identityOf("worker");
    // Nothing can be written where it is made ready.
    const obstacle = join(project.dataDir, "run.json.new");
    mkdirSync(obstacle);
    sendSignal(before.pid, "SIGKILL");
    await running.saw(/run\.json could not be written/);
    await Bun.sleep(1_000);
    // The supervisor, an api and a worker.
    const ours = () => processesBelow(project.folder, [basename(process.execPath)]);
    expect(ours()).toHaveLength(3);
    expect(running.output().match(/run\.json could not be written|starting it again/g)).toHaveLength(2);
    expect(project.identityOf("worker")).toEqual(before);
    rmdirSync(obstacle);
    await eventually(() => expect(isRunning(project.identityOf("worker"))).toBe(true));
    mkdirSync(obstacle);
    sendSignal(project.identityOf("worker").pid, "SIGKILL");
    await eventually(() => expect(running.output().match(/run\.json could not be written/g)).toHaveLength(2));
    expect(await running.end("SIGTERM")).toBe(0);
    expect(ours()).toEqual([]);
    rmdirSync(obstacle);
  });

  test("after kill -9, api and worker leave by themselves, and the next start ends the servers first", async () => {
    const running = await start();
    const orphans = processes();
    await running.end("SIGKILL");
    await eventually(() => expect([orphans.api, orphans.worker].filter(isRunning)).toEqual([]));
    expect([orphans.postgres, orphans.nats].every(isRunning)).toBe(true);
    await start();
    expect(Object.values(orphans).filter(isRunning)).toEqual([]);
    expect((await fetch(project.apiUrl)).status).toBe(200);
  });

  test("a worker by hand finds its services and settings, and says what is missing when there are none", async () => {
    await start({ ATTEMPT_TIMEOUT_MS: "5000", RETRY_SCHEDULE: "1,2" });
    const worker = project.command(["src/main.ts", "worker"], { RETRY_SCHEDULE: "3" });
    await worker.saw(/attempts of/);
    expect(worker.output()).toContain("attempts of 5000 ms, after 3 s");
    expect(await worker.end()).toBe(0);
    await started.pop()?.end();
    const lonely = project.command(["src/main.ts", "worker"]);
    expect(await lonely.process.exited).toBe(1);
    expect(lonely.output()).toContain("DATABASE_URL is not set");
    expect(lonely.output()).toContain("NATS_URL is not set");
  });

  test("a PORT that is set and taken is an error", async () => {
    const taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const second = project.command(["src/main.ts", "start"], { PORT: String(taken.port) });
    expect(await second.process.exited).toBe(1);
    expect(second.output()).toContain(`PORT=${taken.port}`);
    await taken.stop(true);
  });

  test.each(["nosuch.invalid", "203.0.113.1"])("a HOST that is not ours is an error: %s", async (host) => {
    const running = project.command(["src/main.ts", "start"], { HOST: host });
    expect(await running.process.exited).toBe(1);
    expect(running.output()).toContain(`HOST=${host}: `);
  });

  test("leaves when `bun run` above it is killed", async () => {
    const launcher = project.command(["run", "start"]);
    await launcher.saw(/Fairpost is running/);
    const { supervisor } = project.run;
    await launcher.end("SIGKILL");
    await eventually(() => expect(isRunning(supervisor)).toBe(false));
    expect(serversLeft()).toEqual([]);
  });

  test("SIGTERM ends a start that waits for a database", async () => {
    const hasCome = Promise.withResolvers<void>();
    const silent = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: () => hasCome.resolve(), data: () => {} },
    });
    const starting = project.command(["src/main.ts", "start"], {
      DATABASE_URL: `postgres://user:password@127.0.0.1:${silent.port}/database`,
      JWT_SECRET: "x".repeat(32),
      SECRETS_KEY: Buffer.alloc(32).toString("base64"),
    });
    await hasCome.promise;
    const begunAt = systemClock.monotonic();
    expect(await starting.end("SIGTERM")).toBe(0);
    // Well before it would have given up by itself.
    expect(systemClock.monotonic() - begunAt).toBeLessThan(5_000);
    expect(starting.output()).toBe("fairpost: stopping\n");
    expect(serversLeft()).toEqual([]);
    silent.stop(true);
  });

  test("a second signal hurries only when it comes a second or more after the first", async () => {
    const patient = await start({ FAKE_DRAIN_MS: "1500" });
    patient.process.kill("SIGINT");
    patient.process.kill("SIGINT");
    expect(await patient.process.exited).toBe(0);
    expect(patient.output()).toContain("worker stopped");

    const impatient = await start({ FAKE_DRAIN_MS: "15000" });
    impatient.process.kill("SIGINT");
    await Bun.sleep(1_100);
    impatient.process.kill("SIGINT");
    expect(await impatient.process.exited).toBe(1);
    expect(impatient.output()).not.toContain("worker stopped");
    expect(serversLeft()).toEqual([]);
  });
});
