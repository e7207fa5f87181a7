// Signing secrets as they are stored, all accounts' together.

import type { Sql } from "./database.ts";

/** The id of a key that secrets were encrypted with, if there are any and none of them with `keyId`. */
export async function findForeignKeyId(sql: Sql, keyId: string): Promise<string | undefined> {
  const [row] = await sql`SELECT key_id FROM webhook_secrets
    WHERE NOT EXISTS (SELECT FROM webhook_secrets WHERE key_id = ${keyId}) LIMIT 1`;
  return row?.["key_id"];
}
