// What `bun run start` says when everything runs: where it is, and what to try first.

import { join, relative } from "node:path";
import type { Settings } from "../config.ts";
import type { FirstAccount } from "./first-account.ts";
import { projectRoot } from "./project.ts";
import type { Secrets } from "./secrets.ts";

export type Running = {
  settings: Settings;
  apiUrl: string;
  databaseUrl: string;
  natsUrl: string;
  secrets: Secrets;
  /** The superuser's account if it was there before this start. */
  account: FirstAccount | undefined;
};

export function welcome({ settings, apiUrl, databaseUrl, natsUrl, secrets, account }: Running): string {
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
${superuser === undefined ? "" : `  Sign in   ${signIn(superuser, account, settings, kept("secrets.json"))}\n`}
Try first: open ${apiUrl}/docs, press Authorize, sign in, create a webhook and then a subscriber.
Ctrl-C finishes what is under way and stops everything.
`;
}

function signIn(
  { email, newPassword }: NonNullable<Secrets["superuser"]>,
  account: FirstAccount | undefined,
  settings: Settings,
  file: string,
): string {
  if (account?.isActive === false) return `${email} is inactive, and was left so`;
  const who = account?.isSuperuser === false ? `${email} (an ordinary user, and left so)` : email;
  if (account?.hasThePassword === false) return `${who}, with the password that it has; it was there before this start`;
  if (newPassword !== undefined) return `${who}, password ${newPassword} (shown this once, kept in ${file})`;
  const isGiven = settings.firstSuperuserPassword !== undefined;
  return `${who}, password ${isGiven ? "as FIRST_SUPERUSER_PASSWORD" : `in ${file}`}`;
}

function withoutPassword(urls: string): string {
  return urls.replaceAll(/\/\/([^:@/,]+)(:[^@/,]*)?@/g, "//$1@");
}
