// What `migrate` says of a database that it cannot use.

import { afterAll, beforeAll, expect, test } from "bun:test";
import postgres from "postgres";
import { FakeProject } from "../support/fake-project.ts";
import { type TestDatabase, testDatabase } from "../support/services.ts";

let project: FakeProject;
let database: TestDatabase;
beforeAll(async () => {
  project = await FakeProject.make();
  database = await testDatabase();
});
afterAll(async () => {
  await project.remove();
  await database.drop();
});

async function migrate(url: URL): Promise<string> {
  const migrating = project.command(["src/main.ts", "migrate"], { DATABASE_URL: url.href });
  expect(await migrating.process.exited).toBe(1);
  return migrating.output();
}

test("a user who may not create tables: the reason, and no statement", async () => {
  const role = `reader_${Bun.randomUUIDv7().replaceAll("-", "")}`;
  const sql = postgres(database.url, { max: 1 });
  await sql`CREATE ROLE ${sql(role)} LOGIN PASSWORD 'secret'`;
  const url = new URL(database.url);
  url.username = role;
  url.password = "secret";
  url.search = "?application_name=secret";
  expect(await migrate(url)).toBe(
    `DATABASE_URL=postgres://${role}@${url.host}${url.pathname}: ` +
      `permission denied for database ${url.pathname.slice(1)} (42501)\n`,
  );
  await sql`DROP ROLE ${sql(role)}`;
  await sql.end();
});

test("a database that is not there", async () => {
  const url = new URL(database.url);
  url.pathname = "/nosuch";
  const output = await migrate(url);
  expect(output).toBe(
    `DATABASE_URL=postgres://${url.username}@${url.host}/nosuch: database "nosuch" does not exist (3D000)\n`,
  );
});
