// Subscribers as the API reads them. They are written with their events: db/accept.ts, db/subscriber-changes.ts.

import { and, arrayContains, count, desc, eq, ilike, lte, or, sql } from "drizzle-orm";
import type { SubscriberId, UserId } from "../domain/ids.ts";
import { RawJson } from "../lib/json.ts";
import type { Subscriber, SubscriberStatus } from "../domain/subscriber.ts";
import type { Database } from "./database.ts";
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
  const found = db.orm
    .select({ id: subscribers.id, bytes: sql<number>`octet_length(${customFieldsText})`.as("bytes") })
    .from(subscribers)
    .where(where)
    .orderBy(desc(subscribers.id))
    .offset(page.skip)
    .limit(page.limit)
    .as("found");
  const bytesSoFar = sql<number>`sum(${found.bytes}) OVER (ORDER BY ${found.id} DESC)`.as("bytes_so_far");
  const newest = db.orm.select({ id: found.id, bytesSoFar }).from(found).as("newest");
  const fits = and(eq(subscribers.id, newest.id), lte(newest.bytesSoFar, PAGE_BYTES_MAX));
  const [rows, counted] = await Promise.all([
    db.query(
      () => db.orm.select({ subscriber: columns }).from(newest).leftJoin(subscribers, fits).orderBy(desc(newest.id)),
      userId,
    ),
    db.query(() => db.orm.select({ count: count() }).from(subscribers).where(where), userId),
  ]);
  const data = rows.map(({ subscriber }) => subscriber).filter((subscriber) => subscriber !== null);
  return { data: data.map(toSubscriber), count: counted[0]?.count ?? 0, isCut: data.length < rows.length };
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
          ilike(subscribers.firstName, pattern),
          ilike(subscribers.lastName, pattern),
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
