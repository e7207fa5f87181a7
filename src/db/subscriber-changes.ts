// Changes of one subscriber, inside the transaction that also accepts their events.

import { DomainError } from "../domain/error.ts";
import type { SubscriberId, UserId } from "../domain/ids.ts";
import type { Subscriber, SubscriberChange } from "../domain/subscriber.ts";
import { RawJson } from "../lib/json.ts";
import { isUniqueViolation, type Sql } from "./database.ts";

const COLUMNS =
  "id, user_id, email, first_name, last_name, tags, custom_fields::text AS custom_fields, status, created_at, updated_at";

/** Locks the row, and writes the fields that `change` names. Undefined when the user has no such subscriber. */
export async function changeSubscriberRow(
  sql: Sql,
  userId: UserId,
  id: SubscriberId,
  change: SubscriberChange,
): Promise<{ before: Subscriber; after: Subscriber } | undefined> {
  const [row] = await sql`SELECT ${sql.unsafe(COLUMNS)} FROM subscribers
    WHERE id = ${id} AND user_id = ${userId} FOR NO KEY UPDATE`;
  if (row === undefined) return undefined;
  const before = subscriberOf(row);
  const next: Subscriber = { ...before, ...change };
  try {
    const [written] = await sql.unsafe(
      `UPDATE subscribers SET email = $2, first_name = $3, last_name = $4, tags = $5::text[],
         custom_fields = $6::text::json, status = $7, updated_at = statement_timestamp()
       WHERE id = $1 RETURNING ${COLUMNS}`,
      [id, next.email, next.firstName, next.lastName, [...next.tags], next.customFields.text, next.status],
      { prepare: true },
    );
    return written === undefined ? undefined : { before, after: subscriberOf(written) };
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new DomainError("conflict", "Another subscriber on this list has this e-mail address.");
    }
    throw error;
  }
}

export async function deleteSubscriberRow(sql: Sql, userId: UserId, id: SubscriberId): Promise<Subscriber | undefined> {
  const [row] = await sql`DELETE FROM subscribers WHERE id = ${id} AND user_id = ${userId}
    RETURNING ${sql.unsafe(COLUMNS)}`;
  return row === undefined ? undefined : subscriberOf(row);
}

function subscriberOf(row: Record<string, unknown>): Subscriber {
  return {
    id: row["id"] as SubscriberId,
    userId: row["user_id"] as UserId,
    email: String(row["email"]),
    firstName: row["first_name"] as string | null,
    lastName: row["last_name"] as string | null,
    tags: row["tags"] as string[],
    customFields: new RawJson(String(row["custom_fields"])),
    status: row["status"] as Subscriber["status"],
    createdAt: row["created_at"] as Date,
    updatedAt: row["updated_at"] as Date,
  };
}
