// Somebody has to be able to sign in to a new database.

import { findUserByEmail, insertUser } from "../db/users.ts";
import type { Database } from "../db/database.ts";
import { DomainError } from "../domain/error.ts";
import type { Passwords } from "../lib/password.ts";

/** True when it was created now; one that exists is left as it is. Safe in two processes at once. */
export async function ensureFirstSuperuser(
  db: Database,
  passwords: Passwords,
  email: string,
  password: string,
): Promise<boolean> {
  if ((await findUserByEmail(db, email)) !== undefined) return false;
  const passwordHash = await passwords.hash(password);
  try {
    await insertUser(db, { email, passwordHash, fullName: null, isActive: true, isSuperuser: true });
    return true;
  } catch (error) {
    if (error instanceof DomainError && error.code === "conflict") return false;
    throw error;
  }
}
