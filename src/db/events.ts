// Events as the API reads them. They are written with their deliveries, in db/accept.ts.

import { and, desc, eq, lt, sql } from "drizzle-orm";
import type { Event } from "../domain/event.ts";
import type { EventId, UserId } from "../domain/ids.ts";
import type { Database } from "./database.ts";
import { inWindow, readInPieces, type Window } from "./pages.ts";
import { events } from "./schema.ts";

export type EventFilter = { type?: string | undefined };

/** Bytes of payloads after which a page ends early: a thousand events of 256 KiB do not belong in one answer. */
const PAGE_BYTES_MAX = 4 * 1024 * 1024;

export async function findEvent(db: Database, userId: UserId, id: EventId): Promise<Event | undefined> {
  const where = and(eq(events.id, id), eq(events.userId, userId));
  const rows = await db.query(() => db.orm.select().from(events).where(where), userId);
  return rows[0];
}

/** Newest first, up to `window.limit`, fewer where their payloads are large; `hasMore` says whether any are left. */
export function listEvents(
  db: Database,
  userId: UserId,
  filter: EventFilter,
  window: Window,
): Promise<{ data: Event[]; hasMore: boolean }> {
  let bytesLeft = PAGE_BYTES_MAX;
  return readInPieces(window, async (piece) => {
    const read = await readPiece(db, userId, filter, piece, bytesLeft);
    for (const { payload } of read.data) bytesLeft -= Buffer.byteLength(payload);
    return read;
  });
}

/** Those that begin within the first `bytesMax` of payloads. */
async function readPiece(
  db: Database,
  userId: UserId,
  filter: EventFilter,
  piece: Window,
  bytesMax: number,
): Promise<{ data: Event[]; hasMore: boolean }> {
  const where = and(
    eq(events.userId, userId),
    filter.type === undefined ? undefined : eq(events.type, filter.type),
    inWindow(events.id, events.createdAt, piece),
  );
  const newest = db.orm
    .select({
      id: events.id,
      // The payloads' bytes of all newer ones of this piece.
      bytesBefore: sql<number>`sum(octet_length(${events.payload})) OVER (ORDER BY ${events.id} DESC)
        - octet_length(${events.payload})`.as("bytes_before"),
    })
    .from(events)
    .where(where)
    .orderBy(desc(events.id))
    .limit(piece.limit + 1)
    .as("newest");
  // One row for every id of the piece and one more; without its event where that would be too much.
  const rows = await db.query(
    () =>
      db.orm
        .select({ event: events })
        .from(newest)
        .leftJoin(events, and(eq(events.id, newest.id), lt(newest.bytesBefore, bytesMax)))
        .orderBy(desc(newest.id)),
    userId,
  );
  const data = rows
    .slice(0, piece.limit)
    .map((row) => row.event)
    .filter((event) => event !== null);
  return { data, hasMore: rows.length > data.length };
}
