// Webhooks as their owners manage them. A webhook, its endpoint and its secret come into being together; deletion is
// soft, so that deliveries stay readable. Turning one off marks its endpoint, and the worker that owns the partition
// cancels what is pending.

import { and, asc, count, desc, eq, inArray, isNull, lt, sql } from "drizzle-orm";
import { DomainError, notFound } from "../domain/error.ts";
import { newId, type UserId, type WebhookId } from "../domain/ids.ts";
import { WEBHOOKS_PER_USER_MAX } from "../domain/limits.ts";
import { partitionOf } from "../domain/partition.ts";
import { type Database, isUniqueViolation, type Transaction } from "./database.ts";
import { endpoints, users, webhooks, webhookSecrets } from "./schema.ts";

type Row = typeof webhooks.$inferSelect;
/** `lastSuccessAt` is kept to the minute. */
export type Webhook = Row & { circuit: "closed" | "open" | "half_open"; lastSuccessAt: Date | null };

export type WebhookFields = Pick<
  Row,
  "url" | "urlKey" | "events" | "description" | "headers" | "maxInFlight" | "isActive"
>;

export type EncryptedSecret = { ciphertext: Buffer; keyId: string };

/** How the delivery side fares with it. An open circuit is half-open once its gate is: nothing is stored for that. */
const STANDING = {
  circuit: sql<Webhook["circuit"]>`CASE WHEN ${endpoints.circuit} = 'open' AND ${endpoints.openUntil} <= now()
    THEN 'half_open' ELSE ${endpoints.circuit} END`,
  lastSuccessAt: endpoints.lastSuccessAt,
};

const present = (userId: UserId, id: WebhookId) =>
  and(eq(webhooks.id, id), eq(webhooks.userId, userId), isNull(webhooks.deletedAt));

/** Throws conflict for a URL that the user has registered already, and at the limit of webhooks. */
export async function insertWebhook(
  db: Database,
  userId: UserId,
  id: WebhookId,
  fields: WebhookFields,
  secret: EncryptedSecret,
): Promise<Webhook> {
  const partition = partitionOf(id);
  return inTransaction(db, userId, async (tx) => {
    await assertRoom(tx, userId);
    const rows = await tx
      .insert(webhooks)
      .values({ id, userId, partition, ...fields })
      .returning();
    await tx.insert(endpoints).values({ webhookId: id, userId, partition });
    await tx.insert(webhookSecrets).values({ id: newId(), webhookId: id, ...secret });
    return { ...(rows[0] as Row), circuit: "closed", lastSuccessAt: null };
  });
}

/** Locks the user's row, so that two creations at once cannot both take the last place. */
async function assertRoom(tx: Transaction, userId: UserId): Promise<void> {
  const user = await tx
    .select({ id: users.id })
    .from(users)
    .where(and(eq(users.id, userId), isNull(users.deletedAt)))
    .for("no key update");
  if (user.length === 0) throw notFound("user");
  const counted = await tx
    .select({ count: count() })
    .from(webhooks)
    .where(and(eq(webhooks.userId, userId), isNull(webhooks.deletedAt)));
  if ((counted[0]?.count ?? 0) >= WEBHOOKS_PER_USER_MAX) {
    throw new DomainError("conflict", `A user may have up to ${WEBHOOKS_PER_USER_MAX} webhooks.`);
  }
}

export async function findWebhook(db: Database, userId: UserId, id: WebhookId): Promise<Webhook | undefined> {
  const rows = await db.query(() => selectWebhooks(db).where(present(userId, id)), userId);
  return rows.map(toWebhook)[0];
}

/** Oldest first; `count` is the number of all that match. */
export async function listWebhooks(
  db: Database,
  userId: UserId,
  filter: { includeInactive: boolean },
  page: { skip: number; limit: number },
): Promise<{ data: Webhook[]; count: number }> {
  const where = and(
    eq(webhooks.userId, userId),
    isNull(webhooks.deletedAt),
    filter.includeInactive ? undefined : eq(webhooks.isActive, true),
  );
  const [rows, counted] = await Promise.all([
    db.query(
      () => selectWebhooks(db).where(where).orderBy(asc(webhooks.id)).offset(page.skip).limit(page.limit),
      userId,
    ),
    db.query(() => db.orm.select({ count: count() }).from(webhooks).where(where), userId),
  ]);
  return { data: rows.map(toWebhook), count: counted[0]?.count ?? 0 };
}

/**
 * Turning it off cancels what is pending; turning it on again, or another URL, gives the endpoint a fresh start. Throws
 * not_found, and conflict for a URL that the user has registered already.
 */
export async function updateWebhook(
  db: Database,
  userId: UserId,
  id: WebhookId,
  change: Partial<WebhookFields>,
): Promise<Webhook> {
  return inTransaction(db, userId, async (tx) => {
    const before = await tx.select().from(webhooks).where(present(userId, id)).for("no key update");
    const old = before[0];
    if (old === undefined) throw notFound("webhook");
    const rows = await tx
      .update(webhooks)
      .set({ ...change, ...(change.isActive === true ? { disabledReason: null } : {}), updatedAt: sql`now()` })
      .where(eq(webhooks.id, id))
      .returning();
    const row = rows[0] as Row;
    const reset = endpointChange(old, row);
    if (reset !== undefined) await tx.update(endpoints).set(reset).where(eq(endpoints.webhookId, id));
    const [standing] = await tx.select(STANDING).from(endpoints).where(eq(endpoints.webhookId, id));
    return { ...row, circuit: standing?.circuit ?? "closed", lastSuccessAt: standing?.lastSuccessAt ?? null };
  });
}

function endpointChange(old: Row, row: Row) {
  if (old.isActive && !row.isActive) return { cancelBefore: sql`now()` };
  const isFreshStart = (row.isActive && !old.isActive) || row.urlKey !== old.urlKey;
  if (!isFreshStart) return undefined;
  return { circuit: "closed" as const, failures: 0, openings: 0, openUntil: null, failingSince: null };
}

/** False when there is no such webhook. */
export async function deleteWebhook(db: Database, userId: UserId, id: WebhookId): Promise<boolean> {
  return inTransaction(db, userId, async (tx) => {
    const deleted = await tx
      .update(webhooks)
      .set({ deletedAt: sql`now()`, isActive: false, updatedAt: sql`now()` })
      .where(present(userId, id))
      .returning({ id: webhooks.id });
    if (deleted.length === 0) return false;
    await tx
      .update(endpoints)
      .set({ cancelBefore: sql`now()` })
      .where(eq(endpoints.webhookId, id));
    return true;
  });
}

/** The secret that signs now; undefined when there is no such webhook. */
export async function findWebhookSecret(
  db: Database,
  userId: UserId,
  id: WebhookId,
): Promise<EncryptedSecret | undefined> {
  const rows = await db.query(
    () =>
      db.orm
        .select({ ciphertext: webhookSecrets.ciphertext, keyId: webhookSecrets.keyId })
        .from(webhookSecrets)
        .innerJoin(webhooks, eq(webhooks.id, webhookSecrets.webhookId))
        .where(and(present(userId, id), isNull(webhookSecrets.expiresAt))),
    userId,
  );
  return rows[0];
}

/** A receiver may verify with the former secret for so long. */
const FORMER_SECRET_LIVES = sql`interval '24 hours'`;
/** Each signs every request, so the oldest end when a secret is changed again and again. */
const LIVE_SECRETS_MAX = 5;

/** `secret` signs from now on, and for a day the former ones do as well. False when there is no such webhook. */
export async function rotateWebhookSecret(
  db: Database,
  userId: UserId,
  id: WebhookId,
  secret: EncryptedSecret,
): Promise<boolean> {
  return inTransaction(db, userId, async (tx) => {
    const found = await tx.select({ id: webhooks.id }).from(webhooks).where(present(userId, id)).for("no key update");
    if (found.length === 0) return false;
    const itsSecrets = eq(webhookSecrets.webhookId, id);
    await tx.delete(webhookSecrets).where(and(itsSecrets, lt(webhookSecrets.expiresAt, sql`now()`)));
    await tx
      .update(webhookSecrets)
      .set({ expiresAt: sql`now() + ${FORMER_SECRET_LIVES}` })
      .where(and(itsSecrets, isNull(webhookSecrets.expiresAt)));
    const formerOnes = await tx
      .select({ id: webhookSecrets.id })
      .from(webhookSecrets)
      .where(itsSecrets)
      .orderBy(desc(webhookSecrets.createdAt));
    const tooMany = formerOnes.slice(LIVE_SECRETS_MAX - 1).map((former) => former.id);
    if (tooMany.length > 0) await tx.delete(webhookSecrets).where(inArray(webhookSecrets.id, tooMany));
    await tx.insert(webhookSecrets).values({ id: newId(), webhookId: id, ...secret });
    return true;
  });
}

/** Before it nothing was delivered by anybody; ids tell no time before 1970. */
const EVER = new Date("2000-01-01T00:00:00Z");

/**
 * Marks it for its owner: what was made since then (undefined: ever) and has failed by now is tried again. False when
 * there is no such webhook; throws conflict when it is off.
 */
export async function markRecovery(db: Database, userId: UserId, id: WebhookId, since = EVER): Promise<boolean> {
  const from = since < EVER ? EVER : since;
  return inTransaction(db, userId, async (tx) => {
    const found = await tx
      .select({ isActive: webhooks.isActive })
      .from(webhooks)
      .where(present(userId, id))
      .for("no key update");
    const [webhook] = found;
    if (webhook === undefined) return false;
    if (!webhook.isActive) {
      throw new DomainError("conflict", "This webhook is inactive: turn it on first, and then recover.");
    }
    // One that is under way already goes as far back as the two together.
    await tx
      .update(endpoints)
      .set({
        recoverSince: sql`least(${endpoints.recoverSince}, ${from.toISOString()}::timestamptz)`,
        recoverBefore: sql`now()`,
      })
      .where(eq(endpoints.webhookId, id));
    return true;
  });
}

function selectWebhooks(db: Database) {
  return db.orm
    .select({ webhook: webhooks, ...STANDING })
    .from(webhooks)
    .innerJoin(endpoints, eq(endpoints.webhookId, webhooks.id));
}

function toWebhook({ webhook, ...standing }: { webhook: Row } & Omit<Webhook, keyof Row>): Webhook {
  return { ...webhook, ...standing };
}

async function inTransaction<Result>(
  db: Database,
  userId: UserId,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> {
  try {
    return await db.query(() => db.orm.transaction(work), userId);
  } catch (error) {
    if (isUniqueViolation(error)) throw new DomainError("conflict", "This URL is registered already.");
    throw error;
  }
}
