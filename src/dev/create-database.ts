// CREATE DATABASE and DROP DATABASE, which no migration can do.

import { withOneConnection } from "../db/one-connection.ts";

/** Makes the database `name`, as a copy of `template` if one is named. One that exists is left as it is. */
export async function createDatabase(serverUrl: string, name: string, template?: string): Promise<void> {
  await withOneConnection(serverUrl, async (sql) => {
    const existing = await sql`SELECT 1 FROM pg_database WHERE datname = ${name}`;
    if (existing.length > 0) return;
    await sql`CREATE DATABASE ${sql(name)} ${template === undefined ? sql`` : sql`TEMPLATE ${sql(template)}`}`;
  });
}

/** Ends the sessions of the database `name` and removes it. */
export async function dropDatabase(serverUrl: string, name: string): Promise<void> {
  await withOneConnection(serverUrl, (sql) => sql`DROP DATABASE IF EXISTS ${sql(name)} WITH (FORCE)`);
}
