// Everything in this worker's hands, by delivery: waiting in mailboxes, in flight, or with a result that is not
// recorded yet. While a message is here the server hears that it is being worked on, and refill leaves its row alone.

import type { Message } from "../domain/delivery.ts";
import type { DeliveryId, UserId } from "../domain/ids.ts";
import {
  HELD_BYTES_MAX,
  HELD_MESSAGES_MAX,
  IN_FLIGHT_BYTES_MAX,
  IN_FLIGHT_BYTES_OF_EACH,
  PROGRESS_INTERVAL_MS,
} from "../domain/limits.ts";
import type { Partition } from "../domain/partition.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { Held, Stage, StreamHandle, Tenure } from "./ports.ts";

/** What a message costs in memory besides its payload, roughly. */
const OVERHEAD_BYTES = 1_024;
/** Between two looks at what is to be reported as in progress. */
const LOOK_INTERVAL_MS = 100;
/** What is held for less is not reported. */
const FIRST_REPORT_MS = 2_000;

/** What is handed back at a time beyond what is too much, as a part of the bound: so the next message is not too much again. */
const HAND_BACK_SHARE = 0.1;

export type Measure = "count" | "bytes";
type Amount = Record<Measure, number>;

const WAITING_MAX: Amount = { count: HELD_MESSAGES_MAX, bytes: HELD_BYTES_MAX };

export class HeldMessages implements Service {
  readonly name = "held-messages";
  readonly #clock: Clock;
  readonly #byDelivery = new Map<DeliveryId, Held>();
  readonly #all = nothing();
  /** What each user has of it; users without anything are not in it. */
  readonly #byUser = new Map<UserId, Record<Stage, Amount>>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#byDelivery.size;
  }

  get bytes(): number {
    return this.#all.in_flight.bytes + this.#notInFlight("bytes");
  }

  /**
   * More than a worker should hold: nothing more is pulled until what is handed back, or ended, has been recorded. What
   * is in flight has bounds of its own and does not count: it ends when its receivers please.
   */
  get isTooMuch(): boolean {
    return this.#notInFlight("count") > HELD_MESSAGES_MAX || this.#notInFlight("bytes") > HELD_BYTES_MAX;
  }

  /** Messages that may still come before it is too much. */
  get room(): number {
    return Math.max(0, HELD_MESSAGES_MAX - this.#notInFlight("count"));
  }

  get isBelowHalf(): boolean {
    return this.#notInFlight("count") < HELD_MESSAGES_MAX / 2 && this.#notInFlight("bytes") < HELD_BYTES_MAX / 2;
  }

  /**
   * Whether more of this user's deliveries should come in from the table. Below half of the bounds, everybody's may;
   * above, those of a user who has less than an equal part of that half: so whatever one user's slow endpoints fill, the
   * others have room to go on.
   */
  hasAppetite(userId: UserId): boolean {
    if (this.isBelowHalf) return true;
    const own = this.#byUser.get(userId)?.waiting;
    if (own === undefined) return true;
    const parts = 2 * this.#byUser.size;
    return own.count < HELD_MESSAGES_MAX / parts && own.bytes < HELD_BYTES_MAX / parts;
  }

  /**
   * Whether one more request of this user may hold its payload. A user may have as much in flight as is left for others
   * (one alone half of the bound, three a quarter each) and a little in any case, whatever others have. Requests that may
   * take long may have half as much, so that a user's slow endpoints leave room for its fast ones.
   */
  hasMemory(userId: UserId, isFast: boolean): boolean {
    const share = Math.max(IN_FLIGHT_BYTES_OF_EACH, IN_FLIGHT_BYTES_MAX - this.#all.in_flight.bytes);
    return (this.#byUser.get(userId)?.in_flight.bytes ?? 0) < (isFast ? share : share / 2);
  }

  /** How much of what waits should be handed back; 0: nothing. */
  excess(measure: Measure): number {
    const waiting = this.#all.waiting[measure];
    return waiting > WAITING_MAX[measure] ? waiting - WAITING_MAX[measure] * (1 - HAND_BACK_SHARE) : 0;
  }

  waitingByUser(measure: Measure): Map<UserId, number> {
    return new Map([...this.#byUser].map(([userId, { waiting }]) => [userId, waiting[measure]]));
  }

  has(deliveryId: DeliveryId): boolean {
    return this.#byDelivery.has(deliveryId);
  }

  find(deliveryId: DeliveryId): Held | undefined {
    return this.#byDelivery.get(deliveryId);
  }

  add(message: Message, handle: StreamHandle, tenure: Tenure): Held {
    const bytes = Buffer.byteLength(message.payload) + OVERHEAD_BYTES;
    const held: Held = { message, handle, tenure, stage: "waiting", bytes, reportAt: this.#firstReportOf(handle) };
    this.#byDelivery.set(message.deliveryId, held);
    if (!this.#byUser.has(message.userId)) this.#byUser.set(message.userId, nothing());
    this.#count(held, 1);
    return held;
  }

  /** Its turn begins. */
  begin(held: Held): void {
    this.#moveOn(held, "in_flight", held.bytes);
  }

  /** Its turn is over. Nobody needs the payload any more: if it is to be sent again, the stream or the table brings it. */
  end(held: Held): void {
    held.message.payload = "";
    this.#moveOn(held, "ended", OVERHEAD_BYTES);
  }

  remove(held: Held): void {
    if (held.stage === "gone") return;
    this.#byDelivery.delete(held.message.deliveryId);
    this.#moveOn(held, "gone", 0);
    const own = this.#byUser.get(held.message.userId);
    if (own !== undefined && own.waiting.count + own.in_flight.count + own.ended.count === 0) {
      this.#byUser.delete(held.message.userId);
    }
  }

  #notInFlight(measure: Measure): number {
    return this.#all.waiting[measure] + this.#all.ended[measure];
  }

  #moveOn(held: Held, stage: Stage | "gone", bytes: number): void {
    if (held.stage === "gone") return;
    this.#count(held, -1);
    held.stage = stage;
    held.bytes = bytes;
    this.#count(held, 1);
  }

  #count({ message, stage, bytes }: Held, sign: 1 | -1): void {
    if (stage === "gone") return;
    add(this.#all[stage], sign, bytes);
    const own = this.#byUser.get(message.userId);
    if (own !== undefined) add(own[stage], sign, bytes);
  }

  /** Those of one partition. */
  ofPartition(partition: Partition): Held[] {
    return [...this.#byDelivery.values()].filter((held) => held.message.partition === partition);
  }

  start(): Promise<void> {
    this.#timer = this.#clock.after(LOOK_INTERVAL_MS, () => {
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
      if (now < held.reportAt || !held.tenure.isCurrent()) continue;
      held.reportAt = now + PROGRESS_INTERVAL_MS;
      held.handle.working();
    }
  }

  /**
   * Those that follow one another in the stream are reported at different looks: a report costs the server as much as an
   * ack, and thousands come together.
   */
  #firstReportOf({ seq }: StreamHandle): number {
    const looks = (PROGRESS_INTERVAL_MS - FIRST_REPORT_MS) / LOOK_INTERVAL_MS;
    return this.#clock.monotonic() + FIRST_REPORT_MS + (seq % looks) * LOOK_INTERVAL_MS;
  }
}

function nothing(): Record<Stage, Amount> {
  return { waiting: { count: 0, bytes: 0 }, in_flight: { count: 0, bytes: 0 }, ended: { count: 0, bytes: 0 } };
}

function add(amount: Amount, sign: 1 | -1, bytes: number): void {
  amount.count += sign;
  amount.bytes += sign * bytes;
}
