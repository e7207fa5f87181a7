// Accepts what the API was told, and what the delivery side tells an account: one statement, one commit, and only then
// the publish. Calls that arrive together share a statement.

import {
  type Accepted,
  type AcceptedEvent,
  type AcceptedSubscribers,
  acceptEvents,
  acceptSubscribers,
  countMatchingWebhooks,
  type EventRow,
  type SubscriberRow,
} from "../db/accept.ts";
import { type Database, isRefusedValue } from "../db/database.ts";
import { disableWebhook } from "../db/endpoints.ts";
import { changeSubscriberRow, deleteSubscriberRow } from "../db/subscriber-changes.ts";
import { notFound } from "../domain/error.ts";
import { patternsMatching } from "../domain/event-type.ts";
import type { Event, NewEvent } from "../domain/event.ts";
import { type EventId, newId, type SubscriberId, type UserId, type WebhookId } from "../domain/ids.ts";
import { webhookDisabledData } from "../domain/operational-event.ts";
import { INSTANT, payloadPieces } from "../domain/payload.ts";
import { loweredPriority, type Priority } from "../domain/priority.ts";
import type { NewSubscriber, Subscriber, SubscriberChange } from "../domain/subscriber.ts";
import type { Clock } from "../lib/clock.ts";
import { type Json, RawJson } from "../lib/json.ts";
import type { Service } from "../lib/service.ts";
import type { Acceptance, CreatedSubscriber } from "./acceptance.ts";
import type { Accounts } from "./accounts.ts";
import type { Announcer } from "./announce.ts";
import { Entrance, GROUP_MAX, GROUPS_IN_FLIGHT_MAX } from "./entrance.ts";
import type { GiveWay } from "./give-way.ts";
import { CHANGE_EVENTS_UNCOUNTED, changesOf, refuseTooManyTags, subscriberData } from "./subscriber-events.ts";

export type AcceptEventsOptions = {
  database: Database;
  accounts: Accounts;
  announcer: Announcer;
  giveWay: GiveWay;
  clock: Clock;
};

/** Transactions of changes under way at once: of the connections, most stay free for what is new. */
const CHANGES_IN_FLIGHT_MAX = 4;

/** Reads and writes a row, and says which events that makes. */
type Change<Result> = (sql: Database["sql"]) => Promise<{ events: EventRow[]; result: Result }>;

type Arrival = { subscriber: SubscriberRow; event: EventRow & { subscriber_id: SubscriberId } };

export class AcceptEvents implements Acceptance, Service {
  readonly name = "accept-events";
  readonly #options: AcceptEventsOptions;
  readonly #subscribers: Entrance<Arrival, CreatedSubscriber>;
  readonly #events: Entrance<EventRow, AcceptedEvent>;
  readonly #changes: Entrance<Change<unknown>, unknown>;

  constructor(options: AcceptEventsOptions) {
    this.#options = options;
    const { clock, giveWay } = options;
    const shared = { clock, giveWay, isFaultyValue: isRefusedValue };
    const grouped = { ...shared, groupMax: GROUP_MAX, groupsInFlightMax: GROUPS_IN_FLIGHT_MAX };
    const alone = { ...shared, groupMax: 1, groupsInFlightMax: CHANGES_IN_FLIGHT_MAX };
    this.#subscribers = new Entrance({
      ...grouped,
      accept: (group, canWait) => this.#acceptSubscribers(group, canWait),
    });
    this.#events = new Entrance({ ...grouped, accept: (group, canWait) => this.#acceptEvents(group, canWait) });
    this.#changes = new Entrance({
      ...alone,
      accept: (group, canWait) => Promise.all(group.map((change) => this.#acceptChange(change, canWait))),
    });
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#subscribers.drain(), this.#events.drain(), this.#changes.drain()]);
    await this.#options.announcer.settled();
  }

  async createSubscriber(input: NewSubscriber, { isImport } = { isImport: false }): Promise<CreatedSubscriber> {
    const { priority, isWide } = await this.#options.accounts.of(input.userId);
    const lane = isImport ? loweredPriority(priority, "low") : priority;
    return this.#subscribers.add(input.userId, isWide, arrivalOf(input, lane));
  }

  async changeSubscriber(userId: UserId, id: SubscriberId, change: SubscriberChange): Promise<Subscriber> {
    return this.#change(userId, async (sql, priority) => {
      const changed = await changeSubscriberRow(sql, userId, id, change);
      if (changed === undefined) throw notFound("subscriber");
      const events = changesOf(changed.before, changed.after).map(({ type, data }) =>
        eventRow({ userId, type, data, priority }),
      );
      if (events.length > CHANGE_EVENTS_UNCOUNTED) {
        const patterns = [...new Set(events.flatMap((event) => event.patterns))];
        refuseTooManyTags(events, await countMatchingWebhooks(sql, userId, patterns));
      }
      return { events, result: changed.after };
    });
  }

  async deleteSubscriber(userId: UserId, id: SubscriberId): Promise<void> {
    await this.#change(userId, async (sql, priority) => {
      const deleted = await deleteSubscriberRow(sql, userId, id);
      if (deleted === undefined) throw notFound("subscriber");
      const data = { subscriber: subscriberData(deleted, deleted.createdAt) };
      return { events: [eventRow({ userId, type: "subscriber.deleted", data, priority })], result: undefined };
    });
  }

  /**
   * Disables a webhook that still has this URL, and publishes `webhook.disabled` to its owner's others. False: it was
   * disabled already, or has another URL.
   */
  async disableWebhook(
    { webhookId, userId, url }: { webhookId: WebhookId; userId: UserId; url: string },
    reason: string,
  ): Promise<boolean> {
    return this.#change(userId, async (sql, priority) => {
      const isNew = await disableWebhook(sql, { webhookId, url }, reason);
      const data = webhookDisabledData({ id: webhookId, url }, reason);
      const event = { userId, type: "webhook.disabled", data, priority, notTo: webhookId };
      return { events: isNew ? [eventRow(event)] : [], result: isNew };
    });
  }

  async publishEvent(event: NewEvent): Promise<Event> {
    const account = await this.#options.accounts.of(event.userId);
    const priority = loweredPriority(account.priority, event.priority);
    const row = eventRow({ ...event, priority });
    const { id, payload, created_at } = await this.#events.add(event.userId, account.isWide, row);
    return { id, userId: event.userId, type: event.type, priority, createdAt: new Date(created_at), payload };
  }

  async #acceptSubscribers(group: readonly Arrival[], canWait: boolean): Promise<CreatedSubscriber[]> {
    const { database, announcer, clock } = this.#options;
    const subscribers = group.map((arrival) => arrival.subscriber);
    const events = group.map((arrival) => arrival.event);
    const begunAt = clock.monotonic();
    const accepted = await database.run(() => acceptSubscribers(database.sql, subscribers, events));
    announcer.announce(events, accepted, { begunAt, canWait });
    return subscribers.map((subscriber) => createdOf(subscriber, accepted));
  }

  async #acceptEvents(events: readonly EventRow[], canWait: boolean): Promise<AcceptedEvent[]> {
    const { database, announcer, clock } = this.#options;
    const begunAt = clock.monotonic();
    const accepted = await database.run(() => acceptEvents(database.sql, events));
    announcer.announce(events, accepted, { begunAt, canWait });
    const written = new Map(accepted.events.map((event) => [event.id, event]));
    return events.map(({ id }) => must(written.get(id)));
  }

  async #change<Result>(
    userId: UserId,
    work: (sql: Database["sql"], priority: Priority) => ReturnType<Change<Result>>,
  ): Promise<Result> {
    const { priority, isWide } = await this.#options.accounts.of(userId);
    return (await this.#changes.add(userId, isWide, (sql) => work(sql, priority))) as Result;
  }

  /** A change depends on its row, so it has a transaction of its own. */
  async #acceptChange(change: Change<unknown>, canWait: boolean): Promise<unknown> {
    const { database, announcer, clock } = this.#options;
    const begunAt = clock.monotonic();
    const { events, result, accepted } = await database.run(() =>
      database.sql.begin(async (transaction) => {
        const sql = transaction as unknown as Database["sql"];
        const changed = await change(sql);
        const none: Accepted = { events: [], deliveries: [] };
        return { ...changed, accepted: changed.events.length === 0 ? none : await acceptEvents(sql, changed.events) };
      }),
    );
    announcer.announce(events, accepted, { begunAt, canWait });
    return result;
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
