// Everything in this worker's hands, by delivery: in mailboxes, in flight, or with a result that is not
// recorded yet. While a message is here the server hears that it is being worked on, and refill leaves its row alone.

import type { Message } from "../domain/delivery.ts";
import type { DeliveryId, UserId } from "../domain/ids.ts";
import { HELD_BYTES_MAX, HELD_MESSAGES_MAX, PROGRESS_INTERVAL_MS } from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Held, StreamHandle, Tenure } from "./ports.ts";

/** What a message costs in memory besides its payload, roughly. */
const OVERHEAD_BYTES = 1_024;
/** Each message is reported once an interval; looking more often spreads the reports. */
const LOOKS_PER_INTERVAL = 10;

export class HeldMessages implements Service {
  readonly name = "held-messages";
  readonly #clock: Clock;
  readonly #byDelivery = new Map<DeliveryId, Held>();
  /** What each user has of it; users without anything are not in it. */
  readonly #byUser = new Map<UserId, { count: number; bytes: number }>();
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#byDelivery.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** More than a worker should hold: some of it goes back to the table, and nothing more is pulled meanwhile. */
  get isTooMuch(): boolean {
    return this.count > HELD_MESSAGES_MAX || this.#bytes > HELD_BYTES_MAX;
  }

  get isBelowHalf(): boolean {
    return this.count < HELD_MESSAGES_MAX / 2 && this.#bytes < HELD_BYTES_MAX / 2;
  }

  /**
   * Whether more of this user's deliveries should come in from the table. Below half of the bounds, everybody's may;
   * above, those of a user who has less than an equal part of that half: so whatever one user's slow endpoints fill, the
   * others have room to go on.
   */
  hasAppetite(userId: UserId): boolean {
    if (this.isBelowHalf) return true;
    const own = this.#byUser.get(userId);
    if (own === undefined) return true;
    const parts = 2 * this.#byUser.size;
    return own.count < HELD_MESSAGES_MAX / parts && own.bytes < HELD_BYTES_MAX / parts;
  }

  has(deliveryId: DeliveryId): boolean {
    return this.#byDelivery.has(deliveryId);
  }

  find(deliveryId: DeliveryId): Held | undefined {
    return this.#byDelivery.get(deliveryId);
  }

  add(message: Message, handle: StreamHandle, tenure: Tenure): Held {
    const bytes = message.payload.length + OVERHEAD_BYTES;
    const held: Held = { message, handle, tenure, bytes, workingAt: this.#clock.monotonic() };
    this.#byDelivery.set(message.deliveryId, held);
    this.#bytes += bytes;
    const own = this.#byUser.get(message.userId);
    if (own === undefined) this.#byUser.set(message.userId, { count: 1, bytes });
    else {
      own.count += 1;
      own.bytes += bytes;
    }
    return held;
  }

  remove(held: Held): void {
    if (this.#byDelivery.get(held.message.deliveryId) !== held) return;
    this.#byDelivery.delete(held.message.deliveryId);
    this.#bytes -= held.bytes;
    const own = this.#byUser.get(held.message.userId);
    if (own === undefined) return;
    own.count -= 1;
    own.bytes -= held.bytes;
    if (own.count === 0) this.#byUser.delete(held.message.userId);
  }

  /** Those of one partition. */
  ofPartition(partition: Partition): Held[] {
    return [...this.#byDelivery.values()].filter((held) => held.message.partition === partition);
  }

  start(): Promise<void> {
    this.#timer = this.#clock.after(PROGRESS_INTERVAL_MS / LOOKS_PER_INTERVAL, () => {
      this.reportProgress();
      void this.start().catch(() => {});
    });
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    return Promise.resolve();
  }

  reportProgress(): void {
    const now = this.#clock.monotonic();
    for (const held of this.#byDelivery.values()) {
      if (now - held.workingAt < PROGRESS_INTERVAL_MS || !held.tenure.isCurrent()) continue;
      held.workingAt = now;
      held.handle.working();
    }
  }
}
