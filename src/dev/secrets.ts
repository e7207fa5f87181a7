// Secrets nobody has set: with a Postgres of our own they are generated once and kept beside it in DATA_DIR; for
// another Postgres they must be set, which config.ts has made sure of.

import { randomBytes } from "node:crypto";
import type { Settings } from "../config.ts";
import type { DataDir } from "./data-dir.ts";

const FIRST_SUPERUSER = "admin@example.com";

export type Secrets = {
  /** Of the embedded Postgres' superuser. */
  postgresPassword: string;
  /** What api and worker need beside the addresses. */
  environment: Record<string, string>;
  /** Who can sign in; the password only if it has just been made up. */
  superuser: { email: string; newPassword: string | undefined } | undefined;
};

export function secretsFor(settings: Settings, dataDir: DataDir): Secrets {
  if (settings.databaseUrl !== undefined) {
    const email = settings.firstSuperuserEmail;
    const superuser = email === undefined ? undefined : { email, newPassword: undefined };
    return { postgresPassword: "", environment: {}, superuser };
  }
  const environment: Record<string, string> = {};
  const generate = (name: string, isSet: boolean, make: () => string) => {
    if (isSet) return undefined;
    const { value, isNew } = dataDir.keptSecret(name, make);
    environment[name] = value;
    return isNew ? value : undefined;
  };
  generate("JWT_SECRET", settings.jwtSecret !== undefined, () => randomBytes(48).toString("base64url"));
  generate("SECRETS_KEY", settings.secretsKey !== undefined, () => randomBytes(32).toString("base64"));
  const newPassword = generate("FIRST_SUPERUSER_PASSWORD", settings.firstSuperuserPassword !== undefined, () =>
    randomBytes(15).toString("base64url"),
  );
  const email = settings.firstSuperuserEmail ?? FIRST_SUPERUSER;
  environment["FIRST_SUPERUSER"] = email;
  const postgresPassword = dataDir.keptSecret("POSTGRES_PASSWORD", () => randomBytes(18).toString("base64url")).value;
  return { postgresPassword, environment, superuser: { email, newPassword } };
}
