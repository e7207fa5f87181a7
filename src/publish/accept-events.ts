// Accepts what the API was told: one statement, one commit, and only then the publish. Calls that arrive together share
// a statement.

import {
  type Accepted,
  type AcceptedSubscribers,
  acceptEvents,
  acceptSubscribers,
  type EventRow,
  type SubscriberRow,
} from "../db/accept.ts";
import { type Database, errorCodeOf } from "../db/database.ts";
import { changeSubscriberRow, deleteSubscriberRow } from "../db/subscriber-changes.ts";
import { notFound } from "../domain/error.ts";
import { patternsMatching } from "../domain/event-type.ts";
import type { Event, NewEvent } from "../domain/event.ts";
import { type EventId, newId, type SubscriberId, type UserId } from "../domain/ids.ts";
import { INSTANT, payloadPieces, RawJson } from "../domain/payload.ts";
import { loweredPriority, type Priority } from "../domain/priority.ts";
import type { NewSubscriber, Subscriber, SubscriberChange } from "../domain/subscriber.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import type { Json } from "../lib/json.ts";
import type { Service } from "../lib/service.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { Acceptance, CreatedSubscriber } from "./acceptance.ts";
import type { Accounts } from "./accounts.ts";
import type { Announcer } from "./announce.ts";
import type { GiveWay } from "./give-way.ts";
import { changesOf, subscriberData } from "./subscriber-events.ts";

const GROUP_MAX = 100;
/** Events of one group of those that can wait: few, for nobody's rows should stand behind thousands of theirs. */
const BULK_GROUP_MAX = 20;
const WIDE_GROUP_MAX = 3;
/** Arrivals of one account that may wait among everybody else's; more of them are a burst. */
const ARRIVALS_PER_USER_MAX = 8;
const BURST_REMEMBERED_MS = 2_000;
const BURSTS_MAX = 10_000;
/** How long the first of a group waits: a statement for seven costs Postgres a third per row of one for one. */
const GROUP_LINGER_MS = 2;
/** Few: what arrives while a group is written makes the next one larger, and a row of a large group costs less. */
const GROUPS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 10_000;

export type AcceptEventsOptions = {
  database: Database;
  accounts: Accounts;
  announcer: Announcer;
  giveWay: GiveWay;
  clock: Clock;
};

type Arrival = { subscriber: SubscriberRow; event: EventRow & { subscriber_id: SubscriberId } };

export class AcceptEvents implements Acceptance, Service {
  readonly name = "accept-events";
  readonly #options: AcceptEventsOptions;
  readonly #prompt: Batcher<Arrival, CreatedSubscriber>;
  /** Bursts of one account share statements among themselves, and give way: nobody else waits for their rows. */
  readonly #bulk: Batcher<Arrival, CreatedSubscriber>;
  /** So do events that fan out widely: each of them is many rows. */
  readonly #wide: Batcher<Arrival, CreatedSubscriber>;
  /** Arrivals of each account among everybody else's. */
  readonly #promptByUser = new Map<UserId, number>();
  /** Accounts that have had more than their places lately. */
  readonly #bursting: TtlCache<UserId, true>;

  constructor(options: AcceptEventsOptions) {
    this.#options = options;
    this.#bursting = new TtlCache({ clock: options.clock, ttlMs: BURST_REMEMBERED_MS, entriesMax: BURSTS_MAX });
    const groups = (sizeMax: number, inFlightMax: number, givesWay: boolean): Batcher<Arrival, CreatedSubscriber> =>
      new Batcher({
        clock: options.clock,
        sizeMax,
        lingerMs: GROUP_LINGER_MS,
        inFlightMax,
        waitingMax: WAITING_MAX,
        ...(givesWay ? { restMs: (tookMs: number) => options.giveWay.restMs(tookMs) } : {}),
        run: (group) => this.#acceptGroup(group),
      });
    this.#prompt = groups(GROUP_MAX, GROUPS_IN_FLIGHT_MAX, false);
    this.#bulk = groups(BULK_GROUP_MAX, 1, true);
    this.#wide = groups(WIDE_GROUP_MAX, 1, true);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#prompt.drain(), this.#bulk.drain(), this.#wide.drain()]);
    await this.#options.announcer.settled();
  }

  async createSubscribers(inputs: readonly NewSubscriber[]): Promise<CreatedSubscriber[]> {
    return Promise.all(
      inputs.map(async (input) => {
        const { priority, isWide } = await this.#options.accounts.of(input.userId);
        const arrival = arrivalOf(input, priority);
        const waiting = this.#promptByUser.get(input.userId) ?? 0;
        if (!isWide && waiting < ARRIVALS_PER_USER_MAX) return this.#addPrompt(input.userId, waiting, arrival);
        this.#bursting.set(input.userId, true);
        return (isWide ? this.#wide : this.#bulk).add(arrival);
      }),
    );
  }

  async #addPrompt(userId: UserId, waiting: number, arrival: Arrival): Promise<CreatedSubscriber> {
    if (this.#bursting.get(userId) === undefined) this.#options.giveWay.othersAreThere();
    this.#promptByUser.set(userId, waiting + 1);
    try {
      return await this.#prompt.add(arrival);
    } finally {
      const left = (this.#promptByUser.get(userId) ?? 1) - 1;
      if (left === 0) this.#promptByUser.delete(userId);
      else this.#promptByUser.set(userId, left);
    }
  }

  async changeSubscriber(userId: UserId, id: SubscriberId, change: SubscriberChange): Promise<Subscriber> {
    const { priority } = await this.#options.accounts.of(userId);
    return this.#acceptInTransaction(async (sql) => {
      const changed = await changeSubscriberRow(sql, userId, id, change);
      if (changed === undefined) throw notFound("subscriber");
      const events = changesOf(changed.before, changed.after).map(({ type, data }) =>
        eventRow({ userId, type, data, priority }),
      );
      return { events, result: changed.after };
    });
  }

  async deleteSubscriber(userId: UserId, id: SubscriberId): Promise<void> {
    const { priority } = await this.#options.accounts.of(userId);
    await this.#acceptInTransaction(async (sql) => {
      const deleted = await deleteSubscriberRow(sql, userId, id);
      if (deleted === undefined) throw notFound("subscriber");
      const data = { subscriber: subscriberData(deleted, deleted.createdAt) };
      return { events: [eventRow({ userId, type: "subscriber.deleted", data, priority })], result: undefined };
    });
  }

  async publishEvent(event: NewEvent): Promise<Event> {
    const { database, announcer, accounts, clock } = this.#options;
    const priority = loweredPriority((await accounts.of(event.userId)).priority, event.priority);
    const row = eventRow({ ...event, priority });
    const begunAt = clock.monotonic();
    const accepted = await database.run(() => acceptEvents(database.sql, [row]));
    announcer.announce([row], accepted, begunAt);
    const written = accepted.events[0];
    if (written === undefined) throw new Error("the statement accepted no event");
    const { id, payload } = written;
    return { id, userId: event.userId, type: event.type, priority, createdAt: new Date(written.created_at), payload };
  }

  /** One statement for all. A value that Postgres refuses must not fail the others: then each has one of its own. */
  async #acceptGroup(group: readonly Arrival[]): Promise<CreatedSubscriber[]> {
    try {
      return await this.#acceptTogether(group);
    } catch (error) {
      const isData = /^2[23]/.test(errorCodeOf(error) ?? "");
      if (!isData || group.length === 1) throw error;
      return Promise.all(group.map((arrival) => this.#acceptTogether([arrival]).then(([created]) => must(created))));
    }
  }

  async #acceptTogether(group: readonly Arrival[]): Promise<CreatedSubscriber[]> {
    const { database, announcer, clock } = this.#options;
    const events = group.map((arrival) => arrival.event);
    const begunAt = clock.monotonic();
    const accepted = await database.run(() =>
      acceptSubscribers(
        database.sql,
        group.map((arrival) => arrival.subscriber),
        events,
      ),
    );
    announcer.announce(events, accepted, begunAt);
    return group.map(({ subscriber }) => createdOf(subscriber, accepted));
  }

  /** For changes that depend on the row: `work` reads and writes it, and says which events that makes. */
  async #acceptInTransaction<Result>(
    work: (sql: Database["sql"]) => Promise<{ events: EventRow[]; result: Result }>,
  ): Promise<Result> {
    const { database, announcer, clock } = this.#options;
    const begunAt = clock.monotonic();
    const done = await database.run(() =>
      database.sql.begin(async (transaction) => {
        const sql = transaction as unknown as Database["sql"];
        const { events, result } = await work(sql);
        const accepted: Accepted =
          events.length === 0 ? { events: [], deliveries: [] } : await acceptEvents(sql, events);
        return { events, result, accepted };
      }),
    );
    announcer.announce(done.events, done.accepted, begunAt);
    return done.result as Result;
  }
}

function eventRow(event: Omit<NewEvent, "priority" | "data"> & { data: Json; priority: Priority }): EventRow {
  return {
    id: newId<EventId>(),
    user_id: event.userId,
    type: event.type,
    priority: event.priority,
    pieces: payloadPieces(event.type, event.data),
    patterns: patternsMatching(event.type),
    only_to: event.onlyTo ?? null,
    not_to: event.notTo ?? null,
  };
}

function arrivalOf(input: NewSubscriber, priority: Priority): Arrival {
  const id = newId<SubscriberId>();
  const data = { subscriber: subscriberData({ ...input, id }, INSTANT) };
  return {
    subscriber: {
      id,
      user_id: input.userId,
      email: input.email,
      first_name: input.firstName,
      last_name: input.lastName,
      tags: input.tags,
      custom_fields: input.customFields.text,
      status: input.status,
    },
    event: {
      ...eventRow({ userId: input.userId, type: "subscriber.created", data, priority }),
      subscriber_id: id,
    },
  };
}

function createdOf(row: SubscriberRow, accepted: AcceptedSubscribers): CreatedSubscriber {
  if (!accepted.known.has(row.id)) return { kind: "user_unknown" };
  const createdAt = accepted.created.get(row.id);
  if (createdAt === undefined) return { kind: "email_taken" };
  return {
    kind: "created",
    subscriber: {
      id: row.id,
      userId: row.user_id,
      email: row.email,
      firstName: row.first_name,
      lastName: row.last_name,
      tags: row.tags,
      customFields: new RawJson(row.custom_fields),
      status: row.status,
      createdAt,
      updatedAt: createdAt,
    },
  };
}

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("a statement answered for fewer rows than it was given");
  return value;
}
