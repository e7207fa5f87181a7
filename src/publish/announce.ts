// After the commit: log what was accepted, and publish its deliveries, without anyone waiting for it.

import type { Accepted, EventRow } from "../db/accept.ts";
import type { Message } from "../domain/delivery.ts";
import { PUBLISH_DEADLINE_MS } from "../domain/limits.ts";
import type { Clock } from "../lib/clock.ts";
import type { Observe } from "../observe/catalogue.ts";
import type { Published } from "../stream/publisher.ts";

export type AnnounceOptions = {
  outgoing: { publish(message: Message): Promise<Published> };
  clock: Clock;
  observe: Observe;
  /** So many events were accepted. */
  onAccepted: (events: number) => void;
};

export class Announcer {
  readonly #options: AnnounceOptions;
  readonly #publishing = new Set<Promise<void>>();

  constructor(options: AnnounceOptions) {
    this.#options = options;
  }

  /** Call right after the commit; `begunAt`: monotonic time before the statement. */
  announce(events: readonly EventRow[], accepted: Accepted, begunAt = this.#options.clock.monotonic()): void {
    this.#options.onAccepted(accepted.events.length);
    const rows = new Map(events.map((event) => [event.id, event]));
    const written = new Map(accepted.events.map((event) => [event.id, event]));
    const counts = new Map<string, number>();
    for (const delivery of accepted.deliveries) {
      counts.set(delivery.event_id, (counts.get(delivery.event_id) ?? 0) + 1);
      const row = rows.get(delivery.event_id);
      const event = written.get(delivery.event_id);
      if (!delivery.publish || row === undefined || event === undefined) continue;
      this.#publish(begunAt, {
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
    await Promise.allSettled(this.#publishing);
  }

  #publish(begunAt: number, message: Message): void {
    const { clock, outgoing, observe } = this.#options;
    // A process that was frozen since then leaves the row to refill, which may have published it already.
    if (clock.monotonic() - begunAt > PUBLISH_DEADLINE_MS) return;
    const publishing = outgoing.publish(message).then((published) => {
      this.#publishing.delete(publishing);
      if (published.kind === "failed") observe("publish.failed", { reason: published.reason, deliveries: 1 });
    });
    this.#publishing.add(publishing);
  }
}
