// The whole of Fairpost on real servers: the api and the worker of app.ts in this process, or as processes of their own
// where a test kills one. `account` is somebody who uses it over HTTP.

import { createApi, createWorker } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { anyFreePort } from "../../src/dev/ports.ts";
import { projectRoot } from "../../src/dev/project.ts";
import type { Service } from "../../src/lib/service.ts";
import { eventually, type TestDatabase, testDatabase, type TestNats, testNats } from "../support/services.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into, not typed
type Json = any;
export type Answer = { status: number; json: Json };

export type Account = {
  id: string;
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The new webhook, with its secret. */
  webhook(url: string, more?: object): Promise<Json>;
  /** Creates so many subscribers at once; the statuses of the answers. */
  subscribers(count: number): Promise<number[]>;
  event(type: string, data?: unknown): Promise<Json>;
  /** All of them, page by page. */
  deliveries(query?: string): Promise<Json[]>;
  delivery(id: string): Promise<Json>;
};

export type RoleProcess = {
  process: Bun.Subprocess;
  kill(signal?: NodeJS.Signals): Promise<void>;
};

/** With the patience of somebody who shares two processors with every other test. */
export function patiently<Result>(assertion: () => Result | Promise<Result>, timeoutMs = 20_000): Promise<Result> {
  return eventually(assertion, timeoutMs, 50);
}

const PASSWORD = "a password of a user";

export class Fairpost {
  readonly database: TestDatabase;
  readonly nats: TestNats;
  readonly #env: Record<string, string>;
  readonly #services: Service[] = [];
  readonly #processes: RoleProcess[] = [];

  private constructor(database: TestDatabase, nats: TestNats, env: Record<string, string>) {
    this.database = database;
    this.nats = nats;
    this.#env = env;
  }

  /** The servers alone; `env` changes the settings of what is started on them. */
  static async onServers(env: Record<string, string> = {}): Promise<Fairpost> {
    const [database, nats, port] = await Promise.all([testDatabase(), testNats(), anyFreePort()]);
    return new Fairpost(database, nats, {
      DATABASE_URL: database.url,
      NATS_URL: nats.url,
      PORT: String(port),
      JWT_SECRET: "a secret of the tests that is long enough",
      SECRETS_KEY: Buffer.alloc(32, 7).toString("base64"),
      EGRESS_ALLOW: "127.0.0.0/8",
      LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "silent",
      RETRY_SCHEDULE: "0.2,0.2",
      ...env,
    });
  }

  /** With an api and a worker in this process. */
  static async start(env: Record<string, string> = {}): Promise<Fairpost> {
    const fairpost = await Fairpost.onServers(env);
    await fairpost.begin(fairpost.create("api"));
    await fairpost.begin(fairpost.create("worker"));
    await fairpost.ready();
    return fairpost;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#env["PORT"]}`;
  }

  /** A role for this process; `env` changes its settings. */
  create(role: "api" | "worker", env: Record<string, string> = {}): Service {
    const config = readConfig({ ...this.#env, ...env }, role);
    return role === "api" ? createApi(config) : createWorker(config);
  }

  async begin(service: Service): Promise<void> {
    this.#services.push(service);
    await service.start();
  }

  /** A role as a process of its own. */
  spawn(role: "api" | "worker"): RoleProcess {
    const process_ = Bun.spawn([process.execPath, "src/main.ts", role], {
      cwd: projectRoot,
      env: { PATH: process.env["PATH"] ?? "", ...this.#env },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const role_: RoleProcess = {
      process: process_,
      async kill(signal = "SIGKILL") {
        process_.kill(signal);
        await process_.exited;
      },
    };
    this.#processes.push(role_);
    return role_;
  }

  /** Resolves when the api answers, and is connected to both servers. */
  async ready(): Promise<void> {
    await eventually(async () => {
      const answer = await fetch(`${this.url}/ready`);
      if (answer.status !== 200) throw new Error(`not ready: ${await answer.text()}`);
    }, 15_000);
  }

  async account(): Promise<Account> {
    const email = `user-${Bun.randomUUIDv7()}@example.com`;
    const send = async (method: string, path: string, body?: unknown, headers = {}): Promise<Answer> => {
      const answer = await fetch(`${this.url}/api/v1${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, json: text === "" ? undefined : JSON.parse(text) };
    };
    const { json: user } = await send("POST", "/users/", { email, password: PASSWORD });
    const signedIn = await fetch(`${this.url}/api/v1/login/access-token`, {
      method: "POST",
      body: new URLSearchParams({ username: email, password: PASSWORD }),
    });
    const { access_token } = (await signedIn.json()) as Json;
    const call: Account["call"] = (method, path, body) =>
      send(method, path, body, { authorization: `Bearer ${access_token}` });
    const must = async (expected: number, method: string, path: string, body?: unknown): Promise<Json> => {
      const answer = await call(method, path, body);
      if (answer.status !== expected) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
      return answer.json;
    };
    return {
      id: user.id,
      call,
      webhook: (url, more = {}) => must(201, "POST", "/webhooks", { url, events: ["*"], ...more }),
      subscribers: (count) =>
        Promise.all(
          Array.from({ length: count }, async (_, index) => {
            const answer = await call("POST", "/subscribers", { email: `${index}-${Bun.randomUUIDv7()}@example.com` });
            return answer.status;
          }),
        ),
      event: (type, data = {}) => must(202, "POST", "/events", { type, data }),
      async deliveries(query = "") {
        const all: Json[] = [];
        for (let cursor = ""; ;) {
          const page = await must(200, "GET", `/deliveries?limit=1000&${query}${cursor}`);
          all.push(...page.data);
          if (page.next_cursor === null) return all;
          cursor = `&cursor=${page.next_cursor}`;
        }
      },
      delivery: (id) => must(200, "GET", `/deliveries/${id}`),
    };
  }

  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.stop();
    await Promise.all(this.#processes.map((role) => role.kill()));
    await Promise.all([this.nats.stop(), this.database.drop()]);
  }
}
