// `api` or `worker` as a child. It says "ready" over the channel to it, and leaves by itself when that closes, which is
// how it notices that its supervisor was killed. In a session of its own: only the supervisor tells it to stop.

import type { Environment } from "../config.ts";
import type { ProcessService } from "./kept-alive.ts";
import { endProcess, identify, type ProcessIdentity, sendSignal } from "./processes.ts";
import { projectRoot } from "./project.ts";

const READY_TIMEOUT_MS = 30_000;

export type RoleProcessOptions = {
  role: "api" | "worker";
  env: Environment;
  /** How long it may take to finish what it has begun. */
  stopPatienceMs: number;
  /** It says that NATS is there and writes nothing. */
  onNatsUnwritable: () => void;
};

export class RoleProcess implements ProcessService {
  readonly name: string;
  readonly #options: RoleProcessOptions;
  #identity: ProcessIdentity | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: RoleProcessOptions) {
    this.name = options.role;
    this.#options = options;
  }

  get identity(): ProcessIdentity | undefined {
    return this.#identity;
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  async start(): Promise<void> {
    const { role, env, onNatsUnwritable } = this.#options;
    const ready = Promise.withResolvers<void>();
    const child = Bun.spawn([process.execPath, "src/main.ts", role], {
      cwd: projectRoot,
      env,
      detached: true,
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message) => {
        if (message === "ready") ready.resolve();
        else if (message === "nats-unwritable") onNatsUnwritable();
      },
    });
    this.#identity = identify(child.pid);
    this.#ended = child.exited.then((exitCode) => {
      const how = exitCode === null ? `signal ${child.signalCode}` : `exit code ${exitCode}`;
      ready.reject(new Error(`${role} ended while starting, with ${how}`));
    });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      ready.reject(new Error(`${role} was not ready after ${READY_TIMEOUT_MS / 1_000} s`));
    }, READY_TIMEOUT_MS);
    try {
      await ready.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async stop(): Promise<void> {
    if (this.#identity === undefined) return;
    await endProcess(this.#identity, "SIGTERM", this.#options.stopPatienceMs);
    await this.#ended;
  }

  /** Does not wait for what it has begun. */
  kill(): void {
    if (this.#identity !== undefined) sendSignal(this.#identity.pid, "SIGKILL");
  }
}
