// What `bun run start` says when everything runs: where it is, and what to try first.

import { join, relative } from "node:path";
import type { Settings } from "../config.ts";
import { projectRoot } from "./project.ts";
import type { Secrets } from "./secrets.ts";

export type Running = { settings: Settings; apiUrl: string; databaseUrl: string; natsUrl: string; secrets: Secrets };

export function welcome({ settings, apiUrl, databaseUrl, natsUrl, secrets }: Running): string {
  const whose = (given: unknown) => (given === undefined ? "embedded" : "yours");
  const kept = (file: string) => relative(projectRoot, join(settings.dataDir, file));
  const defaultPort = new URL(apiUrl).port !== String(settings.port) ? ` (port ${settings.port} was taken)` : "";
  const { superuser } = secrets;
  return `
Fairpost is running.
  API       ${apiUrl}/api/v1${defaultPort}
  Docs      ${apiUrl}/docs
  NATS      ${withoutPassword(natsUrl)} (${whose(settings.natsUrl)})
  Postgres  ${withoutPassword(databaseUrl)} (${whose(settings.databaseUrl)}; with the password in ${kept("run.json")})
${superuser === undefined ? "" : `  Sign in   ${superuser.email}, ${passwordOf(superuser.newPassword, settings, kept("secrets.json"))}\n`}
Try first: open ${apiUrl}/docs, press Authorize, sign in, create a webhook and then a subscriber.
Ctrl-C finishes what is under way and stops everything.
`;
}

function passwordOf(newPassword: string | undefined, settings: Settings, file: string): string {
  if (newPassword !== undefined) return `password ${newPassword} (shown this once, kept in ${file})`;
  return settings.firstSuperuserPassword === undefined ? `password in ${file}` : "password as FIRST_SUPERUSER_PASSWORD";
}

function withoutPassword(urls: string): string {
  return urls.replaceAll(/\/\/([^:@/,]+)(:[^@/,]*)?@/g, "//$1@");
}
