// A copy of the checkout whose api and worker do nothing, for tests of how everything is started and stopped.

import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../../src/dev/data-dir.ts";
import { endProcess, identify, type ProcessIdentity, waitUntilEnded } from "../../src/dev/processes.ts";
import { projectRoot } from "../../src/dev/project.ts";
import { eventually, testFolder } from "./services.ts";

const FAKE_APP = `
export function createApi({ port, host, egressAllow, firstSuperuser }) {
  let server;
  const fetch = () => Response.json({ egressAllow, firstSuperuser, pid: process.pid });
  return {
    name: "api",
    async start() { server = Bun.serve({ port, hostname: host, fetch }); },
    async stop() { await server?.stop(true); },
  };
}
export function createWorker({ attemptTimeoutMs, retryScheduleS }) {
  let timer;
  return {
    name: "worker",
    async start() {
      timer = setInterval(() => {}, 1_000);
      console.log("attempts of " + attemptTimeoutMs + " ms, after " + retryScheduleS + " s");
    },
    async stop() {
      await Bun.sleep(Number(process.env.FAKE_DRAIN_MS ?? 0));
      clearInterval(timer);
      console.log("worker stopped");
    },
  };
}
`;

/** Long enough for initdb beside whatever else the machine is doing. */
const READY_TIMEOUT_MS = 25_000;

export type RunningCommand = {
  process: Bun.Subprocess;
  identity: ProcessIdentity;
  output: () => string;
  /** Resolves when the output matches. */
  saw: (pattern: RegExp) => Promise<void>;
  /** The exit code after `signal`. */
  end: (signal?: NodeJS.Signals) => Promise<number | null>;
};

export class FakeProject {
  readonly folder: string;
  #commands: RunningCommand[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(): Promise<FakeProject> {
    const folder = await testFolder("project");
    for (const name of ["src", "drizzle", "package.json", "bunfig.toml", "nats.conf", "tsconfig.json"]) {
      cpSync(join(projectRoot, name), join(folder, name), { recursive: true });
    }
    symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "src/app.ts"), FAKE_APP);
    return new FakeProject(folder);
  }

  get dataDir(): string {
    return join(this.folder, ".data");
  }

  /** run.json as it is now. */
  get run(): Run {
    return JSON.parse(readFileSync(join(this.dataDir, "run.json"), "utf8")) as Run;
  }

  identityOf(name: string): ProcessIdentity {
    const found = this.run.processes.find((process_) => process_.name === name);
    if (found === undefined) throw new Error(`${name} is not in run.json`);
    return { pid: found.pid, startTicks: found.startTicks };
  }

  get apiUrl(): string {
    return this.run.processes.find(({ name }) => name === "api")?.url ?? "";
  }

  /** `bun ...args` in the folder, with nothing set that the tests' own environment may hold. */
  command(args: string[], env: Record<string, string> = {}): RunningCommand {
    const logFile = join(this.folder, `output-${this.#commands.length}.log`);
    writeFileSync(logFile, "");
    const child = Bun.spawn([process.execPath, ...args], {
      cwd: this.folder,
      detached: true,
      env: { PATH: process.env["PATH"] ?? "", HOME: this.folder, ...env },
      stdio: ["ignore", Bun.file(logFile), Bun.file(logFile)],
    });
    const identity = identify(child.pid);
    const output = () => readFileSync(logFile, "utf8");
    const running: RunningCommand = {
      process: child,
      identity,
      output,
      async saw(pattern) {
        await eventually(() => {
          if (pattern.test(output())) return;
          throw new Error(`did not see ${pattern}:\n${output()}`);
        }, READY_TIMEOUT_MS);
      },
      async end(signal = "SIGTERM") {
        child.kill(signal);
        await waitUntilEnded(identity, READY_TIMEOUT_MS);
        return child.exited;
      },
    };
    this.#commands.push(running);
    return running;
  }

  async start(env: Record<string, string> = {}): Promise<RunningCommand> {
    const running = this.command(["src/main.ts", "start"], env);
    await running.saw(/Fairpost is running/);
    return running;
  }

  async remove(): Promise<void> {
    for (const { identity } of this.#commands) await endProcess(identity, "SIGTERM", 5_000);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
