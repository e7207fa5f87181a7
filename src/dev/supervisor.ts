// `bun run start`: everything on one machine. Postgres and NATS (embedded where no URL is given), then api and worker,
// each kept alive; stopped in reverse, so that what is under way still reaches the servers.

import { join } from "node:path";
import { dataDirOf, type Environment, FLEET_SETTINGS, readSettings, type Settings } from "../config.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import { chooseApiPort } from "./api-port.ts";
import { DataDir, withDataDirFault } from "./data-dir.ts";
import { orDatabaseFault } from "./failed-start.ts";
import { EMBEDDED_DATABASE, EmbeddedPostgres } from "./embedded-postgres.ts";
import type { FirstAccount } from "./first-account.ts";
import { EmbeddedNats } from "./embedded-nats.ts";
import { KeptAlive, type ProcessService } from "./kept-alive.ts";
import { KeptNote } from "./kept-note.ts";
import { nextFreePort } from "./ports.ts";
import { RoleProcess } from "./role-process.ts";
import { type Secrets, secretsFor } from "./secrets.ts";
import { welcome } from "./welcome.ts";

const POSTGRES_PORT = 5432;
const NATS_PORT = 4222;

/** Beyond the longest attempt: results are written, leases released. */
const DRAIN_MARGIN_MS = 2_500;

/** How long the API may take to reach its services before we say that it has not. */
const READY_PATIENCE_MS = 5_000;
const READY_LOOK_MS = 50;
const NATS_RESTART_INTERVAL_MS = 60_000;
const LOOPBACK = "127.0.0.0/8,::1/128";

export type SupervisorOptions = { env: Environment; clock: Clock };

export class Supervisor implements Service {
  readonly name = "supervisor";
  readonly #options: SupervisorOptions;
  #dataDir: DataDir | undefined;
  /** In the order of their start. */
  #servers: KeptAlive[] = [];
  #roles: KeptAlive[] = [];
  #roleProcesses: RoleProcess[] = [];
  #environment: Record<string, string> = {};
  #natsMayEndAt = Number.NEGATIVE_INFINITY;
  #apiUrl: string | undefined;
  /** Others find us, and the next start finds what a killed one left behind. */
  readonly #note: KeptNote;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  /** Rejects then. */
  readonly #whenStopping = Promise.withResolvers<never>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#whenStopping.promise.catch(() => {});
    this.#note = new KeptNote({ clock: options.clock, name: "run.json", write: () => this.#writeRun(), say });
  }

  async start(): Promise<void> {
    this.#starting = this.#startAll();
    try {
      await this.#starting;
    } catch (error) {
      // A stop in the middle of a start makes the rest of it fail; that is no news.
      if (this.#stopping !== undefined) return this.#stopping;
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  /** Gives up what api and worker have under way; the servers still end properly. */
  hurry(): void {
    say("not waiting for what is under way");
    for (const role of this.#roleProcesses) role.kill();
  }

  async #startAll(): Promise<void> {
    const { env } = this.#options;
    const settings = withDataDirFault(dataDirOf(env), () => readSettings(env, "start"));
    this.#dataDir = DataDir.take(settings.dataDir);
    await this.#dataDir.endOrphans();
    const port = await chooseApiPort(env, settings.port, settings.host);
    const secrets = secretsFor(settings, this.#dataDir);
    const [postgres, nats] = await Promise.all([this.#startPostgres(settings, secrets), this.#startNats(settings)]);
    const databaseUrl = settings.databaseUrl ?? postgres?.url() ?? "";
    const natsUrl = settings.natsUrl ?? nats?.url ?? "";
    this.#environment = {
      ...given(env, FLEET_SETTINGS),
      DATABASE_URL: databaseUrl,
      NATS_URL: natsUrl,
      ...secrets.environment,
      ...(env["EGRESS_ALLOW"] === undefined && postgres !== undefined && nats !== undefined
        ? { EGRESS_ALLOW: LOOPBACK }
        : {}),
    };
    this.#refuseIfStopping();
    const preparing = orDatabaseFault(databaseUrl, postgres !== undefined, async () => {
      await prepareDatabase(databaseUrl, postgres);
      return this.#findFirstAccount(databaseUrl, secrets);
    });
    // A database of others may keep it waiting; what is not finished there is rolled back when we are gone.
    const account = await Promise.race([preparing, this.#whenStopping.promise]);
    await this.#startRoles(settings, port);
    const apiUrl = `http://${hostInUrl(settings.host)}:${port}`;
    this.#apiUrl = apiUrl;
    this.#note.update();
    if (!(await this.#isReady(apiUrl))) say("the API is not ready yet; GET /ready says why");
    console.log(welcome({ settings, apiUrl, databaseUrl, natsUrl, secrets, account }));
  }

  /** Asked before the API makes it: the sign-in that is promised below must work. */
  async #findFirstAccount(databaseUrl: string, { superuser }: Secrets): Promise<FirstAccount | undefined> {
    if (superuser === undefined) return undefined;
    const { findFirstAccount } = await import("./first-account.ts");
    const password = this.#environment["FIRST_SUPERUSER_PASSWORD"];
    return findFirstAccount(databaseUrl, this.#options.clock, superuser.email, password);
  }

  /** Both of its services answer the API: what is promised below works at once. */
  async #isReady(apiUrl: string): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < READY_PATIENCE_MS && this.#stopping === undefined; waitedMs += READY_LOOK_MS) {
      const isReady = await fetch(`${apiUrl}/ready`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (isReady) return true;
      await sleep(this.#options.clock, READY_LOOK_MS);
    }
    return false;
  }

  async #startPostgres(settings: Settings, secrets: Secrets): Promise<EmbeddedPostgres | undefined> {
    if (settings.databaseUrl !== undefined) return undefined;
    const postgres = new EmbeddedPostgres({
      folder: join(settings.dataDir, "postgres"),
      port: await nextFreePort(POSTGRES_PORT),
      password: secrets.postgresPassword,
      logFile: join(settings.dataDir, "logs/postgres.log"),
    });
    await this.#keepAlive(postgres, this.#servers);
    return postgres;
  }

  async #startNats(settings: Settings): Promise<EmbeddedNats | undefined> {
    if (settings.natsUrl !== undefined) return undefined;
    const nats = new EmbeddedNats({
      folder: join(settings.dataDir, "nats"),
      port: await nextFreePort(NATS_PORT),
      logFile: join(settings.dataDir, "logs/nats.log"),
    });
    await this.#keepAlive(nats, this.#servers);
    return nats;
  }

  async #startRoles(settings: Settings, port: number): Promise<void> {
    const env = { ...this.#options.env, ...this.#environment, PORT: String(port) };
    const stopPatienceMs = settings.attemptTimeoutMs + DRAIN_MARGIN_MS;
    const onNatsUnwritable = (): void => void this.#startNatsAgain().catch(() => {});
    const roles = (["api", "worker"] as const).map(
      (role) => new RoleProcess({ role, env, stopPatienceMs, onNatsUnwritable }),
    );
    this.#roleProcesses = roles;
    await Promise.all(roles.map((role) => this.#keepAlive(role, this.#roles)));
  }

  /** Its end is enough: it is kept alive. Both roles may ask for it, and go on until the new one has answered them. */
  async #startNatsAgain(): Promise<void> {
    const { clock } = this.#options;
    const nats = this.#servers.find(({ name }) => name === "nats");
    if (nats === undefined || this.#stopping !== undefined || clock.monotonic() < this.#natsMayEndAt) return;
    this.#natsMayEndAt = clock.monotonic() + NATS_RESTART_INTERVAL_MS;
    say("nats answers no write any more, as after a full disk");
    await nats.service.stop();
  }

  async #keepAlive(service: ProcessService, group: KeptAlive[]): Promise<void> {
    this.#refuseIfStopping();
    const { clock } = this.#options;
    const kept = new KeptAlive({ clock, service, say, onStarted: () => this.#note.update() });
    group.push(kept);
    await kept.start();
  }

  #writeRun(): void {
    const urls: Record<string, string | undefined> = {
      api: this.#apiUrl,
      postgres: this.#environment["DATABASE_URL"],
      nats: this.#environment["NATS_URL"],
    };
    const processes = [...this.#roles, ...this.#servers].flatMap(({ name, service: { identity } }) =>
      identity === undefined ? [] : [{ name, ...identity, url: urls[name] }],
    );
    this.#dataDir?.writeRun({ processes, environment: this.#environment });
  }

  async #stopAll(): Promise<void> {
    this.#whenStopping.reject(stoppedWhileStarting());
    if (this.#servers.length + this.#roles.length > 0) say("stopping");
    await Promise.all(this.#roles.map((role) => role.stop()));
    // NATS first: its clients are gone, and Postgres is what must end well.
    for (const name of ["nats", "postgres"]) {
      await this.#servers.find((server) => server.name === name)?.stop();
    }
    await this.#starting?.catch(() => {});
    for (const kept of [...this.#roles, ...this.#servers.toReversed()]) await kept.stop();
    this.#note.close();
    this.#dataDir?.release();
  }

  #refuseIfStopping(): void {
    if (this.#stopping !== undefined) throw stoppedWhileStarting();
  }
}

function stoppedWhileStarting(): Error {
  return new Error("stopped while starting");
}

function given(env: Environment, names: readonly string[]): Record<string, string> {
  const entries = names.flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

async function prepareDatabase(databaseUrl: string, embedded: EmbeddedPostgres | undefined): Promise<void> {
  // Imported late: in a fresh clone the packages have only just been installed.
  const { createDatabase } = await import("./create-database.ts");
  const { migrateDatabase } = await import("../db/migrate.ts");
  if (embedded !== undefined) await createDatabase(embedded.url("postgres"), EMBEDDED_DATABASE);
  await migrateDatabase(databaseUrl);
}

function hostInUrl(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

function say(line: string): void {
  // Not console.error, which paints everything red.
  process.stderr.write(`fairpost: ${line}\n`);
}
