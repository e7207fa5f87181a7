// After the commit: log what was accepted, and publish its deliveries, without anyone waiting for it.

import type { Accepted, EventRow } from "../db/accept.ts";
import type { Message } from "../domain/delivery.ts";
import type { UserId } from "../domain/ids.ts";
import { PUBLISH_DEADLINE_MS } from "../domain/limits.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { Published } from "../stream/publisher.ts";

/** Publishes that are begun before others get their turn: about half a millisecond. */
const PUBLISHED_AT_ONCE = 20;
/** The same of what can wait: every publish becomes a request, so a piece is work for every process. */
const PIECE_MAX = 8;
/** While NATS is away every publish fails: that is said once in a while, with how many there were. */
const FAILURES_SAID_MS = 5_000;

export type AnnounceOptions = {
  outgoing: { publish(message: Message): Promise<Published> };
  clock: Clock;
  observe: Observe;
  /** So many events were accepted. */
  onAccepted: (events: number) => void;
  /** How long publishing for this account that can wait should rest after `tookMs` of it, milliseconds. */
  restMs: (tookMs: number, userId: UserId) => number;
};

/** `begunAt`: monotonic time before the statement. `canWait`: others go before its publishes, but for the first of them. */
export type Announcement = { begunAt: number; canWait: boolean };

export class Announcer {
  readonly #options: AnnounceOptions;
  readonly #publishing = new Set<Promise<void>>();
  /** Deliveries whose publish has failed since that was last said, by the reason. */
  readonly #failures = new Map<string, number>();

  constructor(options: AnnounceOptions) {
    this.#options = options;
  }

  /** Call right after the commit. */
  announce(events: readonly EventRow[], accepted: Accepted, announcement: Announcement): void {
    this.#options.onAccepted(accepted.events.length);
    const rows = new Map(events.map((event) => [event.id, event]));
    const written = new Map(accepted.events.map((event) => [event.id, event]));
    const counts = new Map<string, number>();
    const messages: Message[] = [];
    for (const delivery of accepted.deliveries) {
      counts.set(delivery.event_id, (counts.get(delivery.event_id) ?? 0) + 1);
      const row = rows.get(delivery.event_id);
      const event = written.get(delivery.event_id);
      if (!delivery.publish || row === undefined || event === undefined) continue;
      messages.push({
        deliveryId: delivery.id,
        eventId: event.id,
        eventType: row.type,
        userId: row.user_id,
        webhookId: delivery.webhook_id,
        partition: delivery.partition,
        priority: row.priority,
        generation: 0,
        attemptCount: 0,
        scheduleBase: 0,
        pendingSince: Date.parse(event.created_at),
        origin: "accept",
        payload: event.payload,
      });
    }
    this.#track(this.#publishAll(announcement, messages));
    for (const event of accepted.events) {
      const row = rows.get(event.id);
      if (row === undefined) continue;
      this.#options.observe("event.accepted", {
        event_id: event.id,
        event_type: row.type,
        user_id: row.user_id,
        priority: row.priority,
        deliveries: counts.get(event.id) ?? 0,
      });
    }
  }

  /** Resolves when nothing is being published any more. */
  async settled(): Promise<void> {
    while (this.#publishing.size > 0) await Promise.all(this.#publishing);
  }

  /** In portions: an event with a thousand webhooks must not stop the process from answering others meanwhile. */
  async #publishAll({ begunAt, canWait }: Announcement, messages: readonly Message[]): Promise<void> {
    const { clock, restMs } = this.#options;
    const portionMax = canWait ? PIECE_MAX : PUBLISHED_AT_ONCE;
    for (let at = 0; at < messages.length; at += portionMax) {
      const startedAt = clock.monotonic();
      // A process that was frozen since then leaves the rows to refill, which may have published them already.
      if (startedAt - begunAt > PUBLISH_DEADLINE_MS) return;
      const portion = messages.slice(at, at + portionMax).map((message) => this.#publish(message));
      for (const publish of portion) this.#track(publish);
      const next = messages[at + portionMax];
      if (next === undefined) return;
      if (canWait) await Promise.all(portion);
      await sleep(clock, canWait ? restMs(clock.monotonic() - startedAt, next.userId) : 0);
    }
  }

  async #publish(message: Message): Promise<void> {
    const published = await this.#options.outgoing.publish(message);
    if (published.kind === "failed") this.#noteFailure(published.reason);
  }

  #noteFailure(reason: string): void {
    const { clock, observe } = this.#options;
    if (this.#failures.size === 0) {
      clock.after(FAILURES_SAID_MS, () => {
        for (const [why, deliveries] of this.#failures) {
          observe("publish.failed", { reason: why, deliveries, outlook: "they wait in the table for refill" });
        }
        this.#failures.clear();
      });
    }
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1);
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .finally(() => this.#publishing.delete(tracked))
      // Nothing of this rejects; a row that was not published waits in the table.
      .catch(() => {});
    this.#publishing.add(tracked);
  }
}
