// Subscribers as the API reads them. They are written with their events: db/accept.ts, db/subscriber-changes.ts.

import { and, arrayContains, count, desc, eq, ilike, inArray, or, type SQL, sql } from "drizzle-orm";
import type { SubscriberId, UserId } from "../domain/ids.ts";
import { RawJson } from "../lib/json.ts";
import type { Subscriber, SubscriberStatus } from "../domain/subscriber.ts";
import type { Database } from "./database.ts";
import { PIECE_ROWS_MAX } from "./pages.ts";
import { subscribers } from "./schema.ts";

export type SubscriberFilter = {
  search?: string | undefined;
  status?: SubscriberStatus | undefined;
  tag?: string | undefined;
};

/**
 * Bytes of custom fields in one page: a page of the default length, each as large as it may be, goes through. A thousand of
 * those would be 250 MB.
 */
const PAGE_BYTES_MAX = 32 * 1024 * 1024;

/** As text: drizzle would parse the caller's JSON, and lose its numbers and the order of its keys. */
const customFieldsText = sql<string>`${subscribers.customFields}::text`;

const columns = {
  id: subscribers.id,
  userId: subscribers.userId,
  email: subscribers.email,
  firstName: subscribers.firstName,
  lastName: subscribers.lastName,
  tags: subscribers.tags,
  customFields: customFieldsText,
  status: subscribers.status,
  createdAt: subscribers.createdAt,
  updatedAt: subscribers.updatedAt,
};

export async function findSubscriber(db: Database, userId: UserId, id: SubscriberId): Promise<Subscriber | undefined> {
  const where = and(eq(subscribers.id, id), eq(subscribers.userId, userId));
  const rows = await db.query(() => db.orm.select(columns).from(subscribers).where(where), userId);
  return rows.map(toSubscriber)[0];
}

/**
 * Newest first; `count` is the number of all that match. `isCut`: `data` ends where the custom fields of the next one would
 * pass PAGE_BYTES_MAX.
 */
export async function listSubscribers(
  db: Database,
  userId: UserId,
  filter: SubscriberFilter,
  page: { skip: number; limit: number },
): Promise<{ data: Subscriber[]; count: number; isCut: boolean }> {
  const where = matching(userId, filter);
  const found = await db.query(
    () =>
      db.orm
        .select({ id: subscribers.id })
        .from(subscribers)
        .where(where)
        .orderBy(desc(subscribers.id))
        .offset(page.skip)
        .limit(page.limit),
    userId,
  );
  const ids = found.map(({ id }) => id);
  const { data, isCut } = await readSubscribers(db, userId, ids);
  return { data, count: await countMatching(db, userId, where, page, ids.length), isCut };
}

/** Those of these that are still there, newest first, in pieces. */
async function readSubscribers(
  db: Database,
  userId: UserId,
  ids: readonly SubscriberId[],
): Promise<{ data: Subscriber[]; isCut: boolean }> {
  const data: Subscriber[] = [];
  let bytes = 0;
  for (let begin = 0; begin < ids.length; begin += PIECE_ROWS_MAX) {
    const where = inArray(subscribers.id, ids.slice(begin, begin + PIECE_ROWS_MAX));
    const rows = await db.query(
      () => db.orm.select(columns).from(subscribers).where(where).orderBy(desc(subscribers.id)),
      userId,
    );
    for (const row of rows) {
      bytes += Buffer.byteLength(row.customFields);
      if (bytes > PAGE_BYTES_MAX) return { data, isCut: true };
      data.push(toSubscriber(row));
    }
  }
  return { data, isCut: false };
}

/** A page that is not full says it as well: a search for a few among very many walks them once, not twice. */
async function countMatching(
  db: Database,
  userId: UserId,
  where: SQL | undefined,
  { skip, limit }: { skip: number; limit: number },
  found: number,
): Promise<number> {
  if (found < limit && (found > 0 || skip === 0)) return skip + found;
  const counted = await db.query(() => db.orm.select({ count: count() }).from(subscribers).where(where), userId);
  return counted[0]?.count ?? 0;
}

function matching(userId: UserId, { search, status, tag }: SubscriberFilter) {
  const pattern = search === undefined ? undefined : containing(search);
  return and(
    eq(subscribers.userId, userId),
    status && eq(subscribers.status, status),
    tag === undefined ? undefined : arrayContains(subscribers.tags, [tag]),
    pattern === undefined
      ? undefined
      : or(
          ilike(subscribers.email, pattern),
          ilike(sql`concat_ws(' ', ${subscribers.firstName}, ${subscribers.lastName})`, pattern),
        ),
  );
}

function toSubscriber(row: Omit<Subscriber, "customFields"> & { customFields: string }): Subscriber {
  return { ...row, customFields: new RawJson(row.customFields) };
}

/** A search text for ILIKE, in which the caller's own % and _ stand for themselves. */
function containing(text: string): string {
  return `%${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
}
