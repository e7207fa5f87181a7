// The account that a start names for the first sign-in, as the database has it: one that was there before is left as it
// is, whatever FIRST_SUPERUSER and FIRST_SUPERUSER_PASSWORD say.

import { openDatabase } from "../db/database.ts";
import { findUserByEmail } from "../db/users.ts";
import type { Clock } from "../lib/clock.ts";
import { createPasswords } from "../lib/password.ts";

export type FirstAccount = { isSuperuser: boolean; isActive: boolean; hasThePassword: boolean };

/** Undefined: there is none yet, so the API is about to make it. */
export async function findFirstAccount(
  databaseUrl: string,
  clock: Clock,
  email: string,
  password: string | undefined,
): Promise<FirstAccount | undefined> {
  const db = openDatabase({
    url: databaseUrl,
    clock,
    connectionsMax: 1,
    queryTimeoutMs: 10_000,
    queriesMax: 1,
    applicationName: "fairpost start",
  });
  try {
    const user = await findUserByEmail(db, email);
    if (user === undefined) return undefined;
    const { isSuperuser, isActive, passwordHash } = user;
    const passwords = createPasswords({ concurrencyMax: 1, waitingMax: 1 });
    const hasThePassword = password !== undefined && (await passwords.verify(password, passwordHash));
    return { isSuperuser, isActive, hasThePassword };
  } finally {
    await db.close();
  }
}
