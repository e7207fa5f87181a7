// Real servers for tests: a database of its own in the run's Postgres, a nats-server of its own that can be killed,
// restarted and wiped. Under `bun run test` the run is there; under a plain `bun test` the first call starts one. The end
// of the run ends every server still running.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createDatabase, dropDatabase } from "../../src/dev/create-database.ts";
import { EmbeddedNats } from "../../src/dev/embedded-nats.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { TEMPLATE_DATABASE } from "../../src/dev/test-run.ts";
import { sleep, systemClock } from "../../src/lib/clock.ts";

export type TestDatabase = { url: string; drop: () => Promise<void> };

/** A fresh, migrated database. `drop` it in afterAll: it holds connections and disk until then. */
export async function testDatabase(): Promise<TestDatabase> {
  const { databaseUrl: server } = await currentRun();
  const name = `test_${Bun.randomUUIDv7().replaceAll("-", "")}`;
  await createDatabase(server, name, TEMPLATE_DATABASE);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => dropDatabase(server, name) };
}

export type TestNats = {
  url: string;
  port: number;
  /** Gracefully; with the store. */
  stop: () => Promise<void>;
  /** SIGKILL; the store stays. */
  kill: () => Promise<void>;
  /** Starts it again after `kill`, or ends it gracefully and starts it again: same port, same store. */
  restart: () => Promise<void>;
  /** SIGKILL, deletes the store, and starts it again on the same port: a lost volume. */
  wipe: () => Promise<void>;
};

/** A nats-server of its own on a free port. `stop` it in afterAll. */
export async function testNats(): Promise<TestNats> {
  const folder = await testFolder("nats");
  const port = await anyFreePort();
  const store = join(folder, "store");
  const server = () => new EmbeddedNats({ folder: store, port, logFile: join(folder, "nats.log") });
  let nats = server();
  await nats.start();
  const startAgain = async () => {
    nats = server();
    await nats.start();
  };
  return {
    url: nats.url,
    port,
    async stop() {
      await nats.stop();
      rmSync(folder, { recursive: true, force: true });
    },
    kill: () => nats.kill(),
    async restart() {
      await nats.stop();
      await startAgain();
    },
    async wipe() {
      await nats.kill();
      rmSync(store, { recursive: true, force: true });
      await startAgain();
    },
  };
}

/** A fresh folder that goes with the run. */
export async function testFolder(name: string): Promise<string> {
  const { folder } = await currentRun();
  return mkdtempSync(join(folder, `${name}-`));
}

/**
 * Calls `assertion` until it neither throws nor rejects; after `timeoutMs` throws what it threw last. Returns what it
 * returned.
 */
export async function eventually<Result>(
  assertion: () => Result | Promise<Result>,
  timeoutMs = 20_000,
  intervalMs = 20,
): Promise<Result> {
  const deadline = systemClock.monotonic() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (systemClock.monotonic() >= deadline) throw error;
    }
    await sleep(systemClock, intervalMs);
  }
}

type Run = { folder: string; databaseUrl: string };

let run: Promise<Run> | undefined;

function currentRun(): Promise<Run> {
  run ??= givenRun() ?? runOfOurOwn();
  return run;
}

function givenRun(): Promise<Run> | undefined {
  const { TEST_FOLDER: folder, TEST_DATABASE_URL: databaseUrl } = process.env;
  return folder === undefined || databaseUrl === undefined ? undefined : Promise.resolve({ folder, databaseUrl });
}

/** A child process holds it, and takes it down when we are gone: `bun test` calls nobody at its end. */
async function runOfOurOwn(): Promise<Run> {
  const keeper = Bun.spawn([process.execPath, join(import.meta.dirname, "../../src/dev/keep-test-run.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  keeper.unref();
  let output = "";
  const decoder = new TextDecoder();
  for await (const chunk of keeper.stdout) {
    output += decoder.decode(chunk, { stream: true });
    if (output.includes("\n")) return JSON.parse(output) as Run;
  }
  throw new Error("the test run's Postgres did not start");
}
