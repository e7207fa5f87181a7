// `bun src/main.ts <role>` as a child: it says "ready" over its channel to us, and leaves by itself when that closes,
// so that even a kill -9 of the generator leaves nothing running. In a session of its own, out of Ctrl-C's reach.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep, systemClock } from "../lib/clock.ts";

const projectRoot = join(import.meta.dirname, "../..");

/** The first start of an instance installs packages and prepares a database. */
const READY_TIMEOUT_MS = 120_000;

/** Characters of what a failed start has said. */
const ERRORS_SHOWN = 4_000;

export type ChildCommandOptions = {
  role: "start" | "worker";
  /** Set on top of our own environment. */
  env: Record<string, string>;
  /** Where its output goes; thrown away else. */
  log: string | undefined;
  /** Where what it says of itself goes: to be read when it fails to start. No pipe, whose end would be news to it. */
  errorLog: string;
};

export class ChildCommand {
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess) {
    this.#child = child;
    this.pid = child.pid;
    this.exited = child.exited;
  }

  /** Resolves when it is ready. `onSpawned` hears of it at once, so that it can be stopped in the middle of a start. */
  static async start(options: ChildCommandOptions, onSpawned: (child: ChildCommand) => void): Promise<void> {
    const ready = Promise.withResolvers<void>();
    // Not Bun.spawn's `env`: the rest of the environment is inherited without being read.
    const settings = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
    const child = Bun.spawn(["env", ...settings, process.execPath, "src/main.ts", options.role], {
      cwd: projectRoot,
      detached: true,
      stdio: ["ignore", options.log === undefined ? "ignore" : Bun.file(options.log), Bun.file(options.errorLog)],
      ipc: (message) => {
        if (message === "ready") ready.resolve();
      },
    });
    onSpawned(new ChildCommand(child));
    const ended = child.exited.then((exitCode) => {
      const why = readFileSync(options.errorLog, "utf8").slice(-ERRORS_SHOWN);
      throw new Error(`bun ${options.role} ended with exit code ${exitCode}:\n${why}`);
    });
    const late = sleep(systemClock, READY_TIMEOUT_MS).then(() => {
      throw new Error(`bun ${options.role} was not ready after ${READY_TIMEOUT_MS / 1_000} s`);
    });
    ended.catch(() => {});
    late.catch(() => {});
    await Promise.race([ready.promise, ended, late]);
  }

  /** Asks, and insists after `patienceMs`. Returns whether asking was enough. */
  async stop(patienceMs: number): Promise<boolean> {
    this.#child.kill("SIGTERM");
    const hasEnded = this.exited.then(() => true);
    if (await Promise.race([hasEnded, sleep(systemClock, patienceMs).then(() => false)])) return true;
    this.#child.kill("SIGKILL");
    await this.exited;
    return false;
  }
}
