// The binary: `start | api | worker | migrate`. Imports no package before it is known that they are installed.

import { dataDirOf, type Environment, environment, readConfig, readSettings, SETTINGS } from "./config.ts";
import { chooseApiPort } from "./dev/api-port.ts";
import { withDataDirFault, withRunningServices } from "./dev/data-dir.ts";
import { watchExitSignals } from "./dev/exit-signals.ts";
import { orDatabaseFault, reasonOf } from "./dev/failed-start.ts";
import { installWhatIsMissing } from "./dev/install.ts";
import { Supervisor } from "./dev/supervisor.ts";
import { systemClock } from "./lib/clock.ts";
import type { Service } from "./lib/service.ts";

const USAGE = `Usage: bun run <command>

  start     everything on this machine: embedded Postgres and NATS where DATABASE_URL and NATS_URL are not set,
            the migrations, and an api and a worker
  api       the HTTP API
  worker    delivers; run as many as you like
  migrate   brings the database up to date

Settings, from the environment:
${Object.values(SETTINGS).map(lineOf).join("\n")}
`;

async function main(command: string | undefined): Promise<void> {
  switch (command) {
    case "start":
      await installWhatIsMissing();
      return serve(new Supervisor({ env: environment(), clock: systemClock }));
    case "api":
      return serve(await createApi());
    case "worker":
      return serve(await createWorker());
    case "migrate":
      return migrate();
    case "--help":
    case "-h":
      console.log(USAGE);
      return undefined;
    case undefined:
    default:
      console.error(command === undefined ? USAGE : `There is no command ${command}.\n\n${USAGE}`);
      process.exit(2);
  }
}

async function createApi(): Promise<Service> {
  const { env, config } = withServices((found) => ({ env: found, config: readConfig(found, "api") }));
  const port = await chooseApiPort(env, config.port, config.host);
  const app = await import("./app.ts");
  return app.createApi({ ...config, port });
}

async function createWorker(): Promise<Service> {
  const config = withServices((env) => readConfig(env, "worker"));
  const app = await import("./app.ts");
  return app.createWorker(config);
}

async function migrate(): Promise<void> {
  const { databaseUrl = "" } = withServices((env) => readSettings(env, "migrate"));
  const { migrateDatabase } = await import("./db/migrate.ts");
  await orDatabaseFault(databaseUrl, false, () => migrateDatabase(databaseUrl));
  console.log("The database is up to date.");
}

/** `read` of the environment with the services of a running start. */
function withServices<Result>(read: (env: Environment) => Result): Result {
  const env = environment();
  const folder = dataDirOf(env);
  return withDataDirFault(folder, () => read(withRunningServices(env, folder)));
}

/** Runs `service` until the process is told to leave. Exit code 0 after a clean stop, 1 if it was hurried. */
async function serve(service: Service & { hurry?(): void }): Promise<void> {
  // A reader that has gone away (`| head`, a closed terminal) is no reason to die in the middle of a stop.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
  watchExitSignals({
    clock: systemClock,
    onExit: () => {
      service.stop().then(
        () => process.exit(),
        (error: unknown) => fail(error),
      );
    },
    onImpatience: () => {
      process.exitCode = 1;
      if (service.hurry === undefined) process.exit();
      service.hurry();
    },
  });
  await service.start();
  process.send?.("ready");
}

function lineOf(setting: { name: string; description: string; default: string | undefined }): string {
  const fallback = setting.default === undefined ? "" : ` [${setting.default}]`;
  return `  ${setting.name.padEnd(26)}${setting.description}${fallback}`;
}

async function fail(error: unknown): Promise<never> {
  console.error(await reasonOf(error));
  process.exit(1);
}

main(process.argv[2]).catch(fail);
