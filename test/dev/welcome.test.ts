import { afterAll, beforeAll, expect, test } from "bun:test";
import { readSettings } from "../../src/config.ts";
import { openDatabase, type Database } from "../../src/db/database.ts";
import { insertUser, updateUser } from "../../src/db/users.ts";
import { findFirstAccount } from "../../src/dev/first-account.ts";
import { welcome } from "../../src/dev/welcome.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createPasswords } from "../../src/lib/password.ts";
import { type TestDatabase, testDatabase } from "../support/services.ts";

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await testDatabase();
  const options = { clock: systemClock, connectionsMax: 1, queryTimeoutMs: 3_000, queriesMax: 10 };
  db = openDatabase({ url: database.url, applicationName: "welcome-test", ...options });
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

const email = "root@example.com";
const password = "root has a password";

/** What is said of the sign-in; `newPassword` has just been made up. */
async function signIn(given: string | undefined, newPassword?: string): Promise<string> {
  const settings = readSettings(given === undefined ? {} : { FIRST_SUPERUSER_PASSWORD: given }, "start");
  const account = await findFirstAccount(database.url, systemClock, email, given ?? newPassword ?? password);
  const secrets = { postgresPassword: "", environment: {}, superuser: { email, newPassword } };
  const text = welcome({ settings, apiUrl: "http://a:1", databaseUrl: "", natsUrl: "", secrets, account });
  return /Sign in {3}(.*)/.exec(text)?.[1] ?? "";
}

test("the sign-in that is promised is one that works", async () => {
  expect(await signIn(undefined, "made up just now")).toStartWith(
    `${email}, password made up just now (shown this once`,
  );
  expect(await signIn(password)).toBe(`${email}, password as FIRST_SUPERUSER_PASSWORD`);
  expect(await signIn(undefined)).toEndWith("password in .data/secrets.json");

  const passwordHash = await createPasswords({ concurrencyMax: 1, waitingMax: 1 }).hash(password);
  const user = await insertUser(db, { email, passwordHash, fullName: null, isActive: true, isSuperuser: true });
  expect(await signIn(password)).toBe(`${email}, password as FIRST_SUPERUSER_PASSWORD`);
  expect(await signIn(undefined)).toEndWith("password in .data/secrets.json");
  const another = `${email}, with the password that it has; it was there before this start`;
  expect(await signIn("another password")).toBe(another);
  expect(await signIn(undefined, "made up just now")).toBe(another);

  await updateUser(db, user.id, { isSuperuser: false });
  expect(await signIn(password)).toStartWith(`${email} (an ordinary user, and left so), password as`);
  await updateUser(db, user.id, { isActive: false });
  expect(await signIn(password)).toBe(`${email} is inactive, and was left so`);
});
