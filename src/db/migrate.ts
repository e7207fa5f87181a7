// Applies drizzle/ in order, one process at a time.

import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import { errorCodeOf } from "./database.ts";
import { withOneConnection } from "./one-connection.ts";

const MIGRATIONS = new URL("../../drizzle", import.meta.url).pathname;

/** Any number that nothing else locks: "fair" in ASCII. */
const MIGRATION_LOCK = 0x66616972;

/** Brings the database at `url` up to date. Waits while another process does so; not for a database that does not answer. */
export async function migrateDatabase(url: string): Promise<void> {
  await withOneConnection(url, async (client) => {
    await client`SELECT pg_advisory_lock(${MIGRATION_LOCK})`;
    await migrate(drizzle(client), { migrationsFolder: MIGRATIONS });
    await client`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`;
  });
}

/** Postgres knows no such table (42P01), schema (3F000) or column (42703): this release's migrations are not there yet. */
export function isNotMigrated(error: unknown): boolean {
  return ["42P01", "3F000", "42703"].includes(errorCodeOf(error) ?? "");
}
