// The API on a real Postgres, as app.ts puts it together; only the stream is away, so accepted deliveries wait in the
// table. `call` speaks HTTP to it.

import { createApiApp } from "../../src/api/app.ts";
import { ensureFirstSuperuser } from "../../src/api/first-superuser.ts";
import type { ApiDeps } from "../../src/api/ports.ts";
import { type Database, openDatabase } from "../../src/db/database.ts";
import type { WebhookId } from "../../src/domain/ids.ts";
import { createCipher } from "../../src/lib/cipher.ts";
import { ManualClock, systemClock } from "../../src/lib/clock.ts";
import { createPasswords } from "../../src/lib/password.ts";
import type { EventName } from "../../src/observe/catalogue.ts";
import { AcceptEvents } from "../../src/publish/accept-events.ts";
import { Accounts } from "../../src/publish/accounts.ts";
import { GiveWay } from "../../src/publish/give-way.ts";
import { Announcer } from "../../src/publish/announce.ts";
import { type TestDatabase, testDatabase } from "../support/services.ts";

export const SUPERUSER = { email: "root@example.com", password: "root has a password" };
export const JWT_SECRET = "a secret of the tests that is long enough";

// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into, not typed
export type Answer = { status: number; headers: Headers; text: string; json: any };
export type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;
export type Account = { id: string; email: string; password: string; token: string; call: Call };
export type Logged = { name: EventName; fields: Record<string, unknown> };

export type ApiServer = {
  url: string;
  database: TestDatabase;
  db: Database;
  clock: ManualClock;
  logged: Logged[];
  changedWebhooks: WebhookId[];
  /** Without a token. Paths are below /api/v1 unless they start with `//`. */
  call: Call;
  withToken(token: string): Call;
  signIn(email: string, password: string): Promise<Answer>;
  /** A new user, signed in. */
  account(email?: string): Promise<Account>;
  superuser(): Promise<Account>;
  stop(): Promise<void>;
};

export async function startApi(overrides: Partial<ApiDeps> = {}, listening: object = {}): Promise<ApiServer> {
  const database = await testDatabase();
  const db = openDatabase({
    url: database.url,
    clock: systemClock,
    connectionsMax: 4,
    queryTimeoutMs: 3_000,
    queriesMax: 1_000,
    applicationName: "api-test",
  });
  const clock = new ManualClock(systemClock.now());
  const passwords = createPasswords({ concurrencyMax: 2, waitingMax: 1_000 });
  const logged: Logged[] = [];
  const changedWebhooks: WebhookId[] = [];
  const observe: ApiDeps["observe"] = (name, fields) => void logged.push({ name, fields: { ...fields } });
  const outgoing = { publish: () => Promise.resolve({ kind: "failed", reason: "no stream here" } as const) };
  const acceptance = new AcceptEvents({
    database: db,
    accounts: new Accounts(db, systemClock),
    announcer: new Announcer({ outgoing, clock: systemClock, observe, onAccepted: () => {}, restMs: () => 0 }),
    clock: systemClock,
    giveWay: new GiveWay({ clock: systemClock, lagMs: () => 0, calmestLagMs: () => 0 }),
  });
  const app = createApiApp({
    db,
    acceptance,
    passwords,
    cipher: createCipher(new Uint8Array(32).fill(7)),
    clock,
    observe,
    settings: { jwtSecret: JWT_SECRET, registration: "open", version: "0.0.0-test" },
    checkTarget: (url) =>
      Promise.resolve(url.includes("//10.") ? { ok: false, why: "leads to a private address" } : { ok: true }),
    readiness: { postgres: () => Promise.resolve(true), nats: () => Promise.resolve(true) },
    metrics: () => "fairpost_up 1\n",
    onWebhookChanged: (id) => void changedWebhooks.push(id),
    ...overrides,
  }).listen({ port: 0, hostname: "127.0.0.1", ...listening });
  await ensureFirstSuperuser(db, passwords, SUPERUSER.email, SUPERUSER.password);
  const url = `http://127.0.0.1:${app.server?.port}`;

  const call: Call = async (method, path, body, headers = {}) => {
    const target = path.startsWith("//") ? url + path.slice(1) : `${url}/api/v1${path}`;
    const isText = typeof body === "string" || body === undefined;
    const answer = await fetch(target, {
      method,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.includes("json") === true;
    return { status: answer.status, headers: answer.headers, text, json: isJson ? JSON.parse(text) : undefined };
  };
  const withToken =
    (token: string): Call =>
    (method, path, body, headers = {}) =>
      call(method, path, body, { authorization: `Bearer ${token}`, ...headers });
  const signIn = (email: string, password: string) =>
    call("POST", "/login/access-token", new URLSearchParams({ username: email, password }).toString(), {
      "content-type": "application/x-www-form-urlencoded",
    });
  const signedIn = async (email: string, password: string): Promise<Account> => {
    const token: string = (await signIn(email, password)).json.access_token;
    const asUser = withToken(token);
    const me = await asUser("GET", "/users/me");
    return { id: me.json.id, email, password, token, call: asUser };
  };

  return {
    url,
    database,
    db,
    clock,
    logged,
    changedWebhooks,
    call,
    withToken,
    signIn,
    async account(email = `user-${Bun.randomUUIDv7()}@example.com`) {
      const password = "a password of a user";
      await call("POST", "/users/", { email, password });
      return signedIn(email, password);
    },
    superuser: () => signedIn(SUPERUSER.email, SUPERUSER.password),
    async stop() {
      await app.stop(true);
      await acceptance.stop();
      await db.close();
      await database.drop();
    },
  };
}
