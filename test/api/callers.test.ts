// Users in memory, against changes of theirs and of others.

import { expect, test } from "bun:test";
import { Callers } from "../../src/api/callers.ts";
import type { Database } from "../../src/db/database.ts";
import type { UserId } from "../../src/domain/ids.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const ours = "ours" as UserId;
const other = "other" as UserId;

/** Queries wait until the test answers them. */
function callers() {
  const clock = new ManualClock();
  const queries: ((email: string, ids?: UserId[]) => Promise<void>)[] = [];
  const query = () =>
    new Promise((resolve) =>
      queries.push(async (email, ids = [ours]) => {
        resolve(ids.map((id) => ({ id, email })));
        for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
      }),
    );
  return { clock, queries, made: new Callers({ clock, db: { query } as unknown as Database }) };
}

async function refreshing() {
  const { clock, queries, made } = callers();
  const first = made.userOf(ours);
  await queries[0]?.("old@example.com");
  expect(await first).toMatchObject({ email: "old@example.com" });
  clock.advance(600);
  expect(await made.userOf(ours)).toMatchObject({ email: "old@example.com" });
  clock.advance(200);
  expect(queries).toHaveLength(2);
  return { queries, made };
}

test("a user who is being read anew is kept although others change meanwhile", async () => {
  const { queries, made } = await refreshing();
  made.forget(other);
  await queries[1]?.("new@example.com");
  expect(await made.userOf(ours)).toMatchObject({ email: "new@example.com" });
  expect(queries).toHaveLength(2);
});

test("what is being read of a user who changes meanwhile is not kept", async () => {
  const { queries, made } = await refreshing();
  made.forget(ours);
  await queries[1]?.("stale@example.com");
  const after = made.userOf(ours);
  await queries[2]?.("new@example.com");
  expect(await after).toMatchObject({ email: "new@example.com" });
});

test("users are read anew together, while what is known of them is still believed", async () => {
  const { clock, queries, made } = callers();
  const first = [made.userOf(ours), made.userOf(other)];
  await queries[0]?.("old@example.com", [ours]);
  await queries[1]?.("old@example.com", [other]);
  await Promise.all(first);
  clock.advance(600);
  const known = [await made.userOf(ours), await made.userOf(other), await made.userOf(ours)];
  expect(known.map((user) => user?.email)).toEqual(Array(3).fill("old@example.com"));
  clock.advance(200);
  expect(queries).toHaveLength(3);
  // One of the two is gone.
  await queries[2]?.("new@example.com", [ours]);
  expect(await made.userOf(ours)).toMatchObject({ email: "new@example.com" });
  expect(await made.userOf(other)).toBeUndefined();
  expect(queries).toHaveLength(3);
});

test("a change by another process is seen within a second, also when the user is not read anew in time", async () => {
  const { clock, queries, made } = callers();
  const first = made.userOf(ours);
  await queries[0]?.("old@example.com");
  expect(await first).toMatchObject({ email: "old@example.com" });
  clock.advance(999);
  expect(await made.userOf(ours)).toMatchObject({ email: "old@example.com" });
  clock.advance(1);
  const after = made.userOf(ours);
  await queries[1]?.("new@example.com");
  expect(await after).toMatchObject({ email: "new@example.com" });
});
