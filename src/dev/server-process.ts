// One embedded server as a process in a session of its own, so that a terminal's Ctrl-C does not reach it.

import { closeSync, mkdirSync, openSync, readFileSync, statSync, truncateSync } from "node:fs";
import { dirname } from "node:path";
import { sleep, systemClock } from "../lib/clock.ts";
import { endProcess, identify, type ProcessIdentity, sendSignal } from "./processes.ts";

/** A log larger than this is emptied at the next start. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;

const READY_POLL_MS = 25;

export type ServerCommand = {
  name: string;
  command: string[];
  cwd: string;
  logFile: string;
  /** Runs as this user; only root may ask for it. */
  user?: { uid: number; gid: number } | undefined;
  /** Beyond what every server is given. */
  environment?: Readonly<Record<string, string>>;
};

/** What a server needs of our environment; our secrets are none of its business, which may run as another user. */
export function serverEnvironment(): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
}

export class ServerProcess {
  readonly identity: ProcessIdentity;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  readonly #command: ServerCommand;
  readonly #child: Bun.Subprocess;
  #hasEnded = false;

  constructor(command: ServerCommand) {
    this.#command = command;
    mkdirSync(dirname(command.logFile), { recursive: true });
    const log = openSync(command.logFile, "a", 0o600);
    try {
      if (statSync(command.logFile).size > LOG_BYTES_MAX) truncateSync(command.logFile);
      const child = Bun.spawn(command.command, {
        cwd: command.cwd,
        stdio: ["ignore", log, log],
        detached: true,
        env: { ...serverEnvironment(), ...command.environment },
        ...command.user,
      });
      child.unref();
      this.#child = child;
      this.identity = identify(child.pid);
      this.ended = child.exited.then(() => {
        this.#hasEnded = true;
      });
    } finally {
      closeSync(log);
    }
  }

  /** Polls `isReady` until it says yes; throws with the end of the log if the process ends or time runs out. */
  async waitUntilReady(isReady: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = systemClock.monotonic() + timeoutMs;
    for (;;) {
      if (this.#hasEnded) throw this.#failure("ended while starting");
      if (await isReady()) return;
      if (systemClock.monotonic() >= deadline) {
        await endProcess(this.identity, "SIGKILL");
        throw this.#failure(`was not ready after ${timeoutMs / 1_000} s`);
      }
      await sleep(systemClock, READY_POLL_MS);
    }
  }

  async end(signal: NodeJS.Signals, patienceMs: number): Promise<void> {
    if (this.#hasEnded) return;
    // Nobody need stay because it runs; but who waits for its end must not leave, when nothing else is under way, before.
    this.#child.ref();
    await endProcess(this.identity, signal, patienceMs);
    await this.ended;
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    this.#child.ref();
    sendSignal(this.identity.pid, "SIGKILL");
    await this.ended;
  }

  #failure(what: string): Error {
    const lines = readFileSync(this.#command.logFile, "utf8").trimEnd().split("\n").slice(-12);
    return new Error(`${this.#command.name} ${what}; the end of ${this.#command.logFile}:\n${lines.join("\n")}`);
  }
}
