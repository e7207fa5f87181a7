// Accounts. Deletion is soft: the row stays for what refers to it, and the e-mail is free again.

import { and, asc, count, eq, inArray, isNull, sql } from "drizzle-orm";
import { DomainError } from "../domain/error.ts";
import { newId, type UserId, type WebhookId } from "../domain/ids.ts";
import { type Database, isUniqueViolation, type Orm } from "./database.ts";
import { endpoints, users, webhooks } from "./schema.ts";

export type User = typeof users.$inferSelect;

export type NewUser = {
  email: string;
  passwordHash: string;
  fullName: string | null;
  isActive: boolean;
  isSuperuser: boolean;
};

export type UserChange = Partial<NewUser>;

const present = (id: UserId) => and(eq(users.id, id), isNull(users.deletedAt));

/** Throws conflict for a taken e-mail, whatever its case. */
export async function insertUser(db: Database, user: NewUser): Promise<User> {
  const rows = await orEmailTaken(
    db.query(() =>
      db.orm
        .insert(users)
        .values({ id: newId<UserId>(), ...user })
        .returning(),
    ),
  );
  return rows[0] as User;
}

export async function findUser(db: Database, id: UserId): Promise<User | undefined> {
  return (await findUsers(db, [id])).get(id);
}

/** Those of them that are there. */
export async function findUsers(db: Database, ids: readonly UserId[]): Promise<Map<UserId, User>> {
  const rows = await db.query(() => usersByIdOf(db.orm).execute({ ids }));
  return new Map(rows.map((user) => [user.id, user]));
}

/** Put together once: with every call it would be the API's hottest code, whose compilation takes half a second. */
const usersByIds = new WeakMap<Orm, ReturnType<typeof prepareUsersById>>();

function usersByIdOf(orm: Orm): ReturnType<typeof prepareUsersById> {
  const known = usersByIds.get(orm);
  if (known !== undefined) return known;
  const prepared = prepareUsersById(orm);
  usersByIds.set(orm, prepared);
  return prepared;
}

function prepareUsersById(orm: Orm) {
  const isNamed = sql`${users.id} = ANY(${sql.placeholder("ids")}::uuid[])`;
  return orm
    .select()
    .from(users)
    .where(and(isNamed, isNull(users.deletedAt)))
    .prepare("users_by_id");
}

export async function findUserByEmail(db: Database, email: string): Promise<User | undefined> {
  const hasEmail = and(sql`lower(${users.email}) = lower(${email})`, isNull(users.deletedAt));
  const rows = await db.query(() => db.orm.select().from(users).where(hasEmail));
  return rows[0];
}

export async function listUsers(
  db: Database,
  callerId: UserId,
  page: { skip: number; limit: number },
): Promise<{ data: User[]; count: number }> {
  const where = isNull(users.deletedAt);
  const [data, counted] = await Promise.all([
    db.query(
      () => db.orm.select().from(users).where(where).orderBy(asc(users.id)).offset(page.skip).limit(page.limit),
      callerId,
    ),
    db.query(() => db.orm.select({ count: count() }).from(users).where(where), callerId),
  ]);
  return { data, count: counted[0]?.count ?? 0 };
}

/**
 * A new password ends the tokens of older ones. Throws conflict for a taken e-mail; undefined for an unknown user, and
 * for one whose password is not that of `tokenVersion` any more.
 */
export async function updateUser(
  db: Database,
  id: UserId,
  change: UserChange,
  tokenVersion?: number,
): Promise<User | undefined> {
  const nextVersion = change.passwordHash === undefined ? {} : { tokenVersion: sql`${users.tokenVersion} + 1` };
  const isOfVersion = tokenVersion === undefined ? undefined : eq(users.tokenVersion, tokenVersion);
  const rows = await orEmailTaken(
    db.query(() =>
      db.orm
        .update(users)
        .set({ ...change, ...nextVersion, updatedAt: sql`now()` })
        .where(and(present(id), isOfVersion))
        .returning(),
    ),
  );
  return rows[0];
}

/**
 * Deletes the user and its webhooks, whose pending deliveries the workers then cancel. Returns the ids of those
 * webhooks; undefined for an unknown user.
 */
export async function deleteUser(db: Database, id: UserId): Promise<WebhookId[] | undefined> {
  return db.query(() =>
    db.orm.transaction(async (tx) => {
      const deleted = await tx
        .update(users)
        .set({ deletedAt: sql`now()`, updatedAt: sql`now()` })
        .where(present(id))
        .returning({ id: users.id });
      if (deleted.length === 0) return undefined;
      // Locked in the order that every writer of many rows keeps to.
      const ended = await tx
        .select({ id: webhooks.id })
        .from(webhooks)
        .where(and(eq(webhooks.userId, id), isNull(webhooks.deletedAt)))
        .orderBy(asc(webhooks.id))
        .for("no key update");
      const ids = ended.map((webhook) => webhook.id);
      await tx
        .update(webhooks)
        .set({ deletedAt: sql`now()`, isActive: false, updatedAt: sql`now()` })
        .where(inArray(webhooks.id, ids));
      const itsEndpoints = inArray(endpoints.webhookId, ids);
      await tx
        .select({ id: endpoints.webhookId })
        .from(endpoints)
        .where(itsEndpoints)
        .orderBy(asc(endpoints.webhookId))
        .for("no key update");
      await tx
        .update(endpoints)
        .set({ cancelBefore: sql`now()` })
        .where(itsEndpoints);
      return ids;
    }),
  );
}

async function orEmailTaken<Result>(written: Promise<Result>): Promise<Result> {
  try {
    return await written;
  } catch (error) {
    if (isUniqueViolation(error)) throw new DomainError("conflict", "A user with this e-mail exists already.");
    throw error;
  }
}
