// Conditions that the lists by cursor share: ids are UUIDv7, so their order is the order of creation.

import { and, lt, type SQL, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";

/** Newest first. `cursor` is the id of the last row of the page before; `after` and `before` are exclusive. */
export type Window = {
  limit: number;
  cursor?: string | undefined;
  after?: Date | undefined;
  before?: Date | undefined;
};

/** Clocks of the machines that make ids and of Postgres, which makes the instants, may differ by this much. */
const CLOCK_SKEW_MAX_MS = 3_600_000;

/**
 * Instants are compared in the milliseconds that callers see. The bounds on the id say nothing new, but let Postgres
 * skip partitions and walk an index from the right place.
 */
export function inWindow(id: PgColumn, createdAt: PgColumn, window: Window): SQL | undefined {
  const { cursor, after, before } = window;
  const created = sql`date_trunc('milliseconds', ${createdAt})`;
  return and(
    cursor === undefined ? undefined : lt(id, cursor),
    after && sql`${created} > ${after.toISOString()}::timestamptz`,
    after && sql`${id} >= ${smallestIdAt(after.getTime() - CLOCK_SKEW_MAX_MS)}::uuid`,
    before && sql`${created} < ${before.toISOString()}::timestamptz`,
    before && sql`${id} < ${smallestIdAt(before.getTime() + CLOCK_SKEW_MAX_MS)}::uuid`,
  );
}

/** The smallest UUIDv7 of an instant. */
function smallestIdAt(ms: number): string {
  const hex = Math.min(Math.max(0, ms), 0xffff_ffff_ffff).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/**
 * Rows that are read and made into objects at a time, which takes a millisecond or two: whoever else is served in between
 * must not wait for a thousand of them.
 */
export const PIECE_ROWS_MAX = 100;

type Page<Row> = { data: Row[]; hasMore: boolean };

/** A page in pieces. `read` may answer fewer than it is asked for, though there are more: then the page ends there. */
export async function readInPieces<Row extends { id: string }>(
  window: Window,
  read: (piece: Window) => Promise<Page<Row>>,
): Promise<Page<Row>> {
  const data: Row[] = [];
  for (;;) {
    const limit = Math.min(window.limit - data.length, PIECE_ROWS_MAX);
    const piece = await read({ ...window, limit, cursor: data.at(-1)?.id ?? window.cursor });
    data.push(...piece.data);
    if (!piece.hasMore || piece.data.length < limit || data.length === window.limit) {
      return { data, hasMore: piece.hasMore };
    }
  }
}
