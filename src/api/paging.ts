// The two kinds of lists: by number (skip, limit, count) and by cursor (newest first).

import { Type } from "@sinclair/typebox";
import type { Window } from "../db/pages.ts";
import { invalid } from "../domain/error.ts";
import { isUuid } from "../domain/ids.ts";
import type { Json } from "../lib/json.ts";
import { instantOf, queryInstant, queryInteger } from "./fields.ts";

const LIMIT = { minimum: 1, maximum: 1_000, default: 100, description: "How many to answer at the most." };
/** Postgres counts an offset row by row: past this a filter is what the caller needs. */
const SKIP = { minimum: 0, maximum: 1_000_000_000, default: 0, description: "How many to leave out." };

export const pageQuery = {
  skip: Type.Optional(queryInteger(SKIP)),
  limit: Type.Optional(queryInteger(LIMIT)),
};

export const windowQuery = {
  cursor: Type.Optional(Type.String({ maxLength: 100, description: "`next_cursor` of the page before." })),
  limit: Type.Optional(queryInteger(LIMIT)),
  after: Type.Optional(queryInstant("Created after this instant.")),
  before: Type.Optional(queryInstant("Created before this instant.")),
};

type Texts<Name extends string> = { [name in Name]?: string | undefined };

export function pageOf(query: Texts<"skip" | "limit">): { skip: number; limit: number } {
  return { skip: bounded("skip", query.skip, SKIP), limit: bounded("limit", query.limit, LIMIT) };
}

export function windowOf(query: Texts<"cursor" | "limit" | "after" | "before">): Window {
  return {
    limit: bounded("limit", query.limit, LIMIT),
    cursor: query.cursor === undefined ? undefined : idOfCursor(query.cursor),
    after: instantOf("query.after", query.after),
    before: instantOf("query.before", query.before),
  };
}

/** The answer of a list by cursor. */
export function windowAnswer<Row extends { id: string }>(
  { data, hasMore }: { data: readonly Row[]; hasMore: boolean },
  view: (row: Row) => Json,
): Json {
  const last = data.at(-1);
  return { data: data.map(view), next_cursor: hasMore && last !== undefined ? cursorOfId(last.id) : null };
}

function bounded(name: string, text: string | undefined, bounds: typeof LIMIT): number {
  const value = text === undefined ? bounds.default : Number(text);
  if (value < bounds.minimum || value > bounds.maximum) {
    throw invalid(`query.${name}`, `A whole number from ${bounds.minimum} to ${bounds.maximum}`);
  }
  return value;
}

/** Opaque to callers: the id of the last row, in base64url. */
function cursorOfId(id: string): string {
  return Buffer.from(id).toString("base64url");
}

function idOfCursor(cursor: string): string {
  const id = Buffer.from(cursor, "base64url").toString();
  if (!isUuid(id) || cursorOfId(id) !== cursor) throw invalid("query.cursor", "Not a cursor of this list");
  return id;
}
