// The way in: arrivals that come together share a statement, and nobody waits behind another account's burst.
//
//   prompt   accounts with few arrivals at a time
//   wide     the same, of accounts with many webhooks: each of their events is many rows
//   bulk     accounts with many arrivals at a time: a burst. Those of wide accounts among themselves
//
// At each door accounts take turns. While others are there bursts give way, one statement at a time; so do the publishes
// of bursts and of wide accounts.

import { DomainError } from "../domain/error.ts";
import type { UserId } from "../domain/ids.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import type { GiveWay } from "./give-way.ts";

/** Arrivals in one statement. */
export const GROUP_MAX = 100;
/** Fewer where rows must not stand behind thousands of somebody else's. */
const BULK_GROUP_MAX = 50;
const WIDE_GROUP_MAX = 5;
/** While a burst gives way: few deliveries, so that each piece keeps the processors busy for a millisecond or two. */
const BULK_PIECE_MAX = 4;
const WIDE_PIECE_MAX = 1;
/**
 * How long the first of a group waits while another is being written: a statement for seven costs Postgres a third per
 * row of one for one. While none is, it waits for nobody.
 */
const GROUP_LINGER_MS = 2;
/** Few: what arrives while a group is written makes the next one larger, and a row of a large group costs less. */
export const GROUPS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 10_000;
/** A statement that failed sooner says nothing of the next one. */
const SILENCE_MS = 1_000;
/**
 * With more arrivals than this at once an account has a burst, and for a while after. A third of a group: busy accounts of
 * a busy hour must not count as bursts, or they would all rest for each other.
 */
const ARRIVALS_PER_USER_MAX = 32;

export type EntranceOptions<Arrival, Result> = {
  clock: Clock;
  giveWay: GiveWay;
  groupMax: number;
  /** Statements under way at once, but for those of bursts. */
  groupsInFlightMax: number;
  /** Accepts arrivals in one statement: one result each, in their order. `canWait`: what follows from it gives way too. */
  accept: (group: readonly Arrival[], canWait: boolean) => Promise<readonly Result[]>;
  /** The statement was refused because of a value in it. */
  isFaultyValue: (error: unknown) => boolean;
};

type Settled<Result> = PromiseSettledResult<Result>;
type Guest<Arrival> = { userId: UserId; arrival: Arrival };
type Resting = { inFlightMax: number; restMs: (tookMs: number) => number };
type Door<Arrival, Result> = Batcher<Guest<Arrival>, Settled<Result>>;

export class Entrance<Arrival, Result> {
  readonly #options: EntranceOptions<Arrival, Result>;
  readonly #prompt: Door<Arrival, Result>;
  readonly #wide: Door<Arrival, Result>;
  readonly #bulk: Door<Arrival, Result>;
  readonly #wideBulk: Door<Arrival, Result>;
  /** Monotonic: when the database last answered a statement. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  /** Accounts with arrivals that have no answer yet. */
  readonly #arrivals = new Map<UserId, number>();

  constructor(options: EntranceOptions<Arrival, Result>) {
    this.#options = options;
    const { clock, giveWay, groupMax, groupsInFlightMax } = options;
    const door = (sizeMax: () => number, canWait: boolean, more: Partial<Resting>) => {
      const made: Door<Arrival, Result> = new Batcher({
        clock,
        lingerMs: GROUP_LINGER_MS,
        isPrompt: true,
        waitingMax: WAITING_MAX,
        ownerOf: ({ userId }) => userId,
        sizeMax: () => Math.min(sizeMax(), groupMax),
        inFlightMax: groupsInFlightMax,
        ...more,
        run: (group) => this.#accept(made, group, canWait),
      });
      return made;
    };
    const resting: Resting = { inFlightMax: 1, restMs: (tookMs) => giveWay.restMs(tookMs) };
    const bulkMax = () => (giveWay.isNeeded() ? BULK_PIECE_MAX : BULK_GROUP_MAX);
    const wideBulkMax = () => (giveWay.isNeeded() ? WIDE_PIECE_MAX : WIDE_GROUP_MAX);
    this.#prompt = door(() => groupMax, false, {});
    this.#wide = door(() => WIDE_GROUP_MAX, true, {});
    this.#bulk = door(bulkMax, true, resting);
    this.#wideBulk = door(wideBulkMax, true, resting);
  }

  /** `isWide`: one event of this account makes many deliveries. */
  async add(userId: UserId, isWide: boolean, arrival: Arrival): Promise<Result> {
    const arrivals = (this.#arrivals.get(userId) ?? 0) + 1;
    this.#arrivals.set(userId, arrivals);
    if (arrivals > ARRIVALS_PER_USER_MAX) this.#options.giveWay.noteBurst(userId);
    try {
      const settled = await this.#enter(isWide, { userId, arrival });
      if (settled.status === "rejected") throw settled.reason;
      return settled.value;
    } finally {
      const left = (this.#arrivals.get(userId) ?? 1) - 1;
      if (left === 0) this.#arrivals.delete(userId);
      else this.#arrivals.set(userId, left);
      if (left > ARRIVALS_PER_USER_MAX) this.#options.giveWay.noteBurst(userId);
    }
  }

  async drain(): Promise<void> {
    await Promise.all([this.#prompt, this.#wide, this.#bulk, this.#wideBulk].map((batcher) => batcher.drain()));
  }

  #enter(isWide: boolean, guest: Guest<Arrival>): Promise<Settled<Result>> {
    const { giveWay } = this.#options;
    if (giveWay.isBursting(guest.userId)) return (isWide ? this.#wideBulk : this.#bulk).add(guest);
    giveWay.cameBy(guest.userId);
    return (isWide ? this.#wide : this.#prompt).add(guest);
  }

  /** A value that Postgres refuses must not fail the others: then each arrival has a statement, and an end, of its own. */
  async #accept(
    door: Door<Arrival, Result>,
    guests: readonly Guest<Arrival>[],
    canWait: boolean,
  ): Promise<readonly Settled<Result>[]> {
    const { accept, isFaultyValue, clock } = this.#options;
    const group = guests.map(({ arrival }) => arrival);
    const begunAt = clock.monotonic();
    try {
      const accepted = await accept(group, canWait);
      this.#answeredAt = clock.monotonic();
      return accepted.map((value) => ({ status: "fulfilled", value }));
    } catch (error) {
      // While the database was silent for so long, those behind have waited as long as they may. Where it answered others
      // meanwhile, or refused at once, their own statements may do better.
      const isSilent = this.#answeredAt < begunAt && clock.monotonic() - begunAt > SILENCE_MS;
      if (isSilent && error instanceof DomainError && error.code === "unavailable") door.refuseWaiting(error);
      if (!isFaultyValue(error) || group.length === 1) throw error;
      return Promise.allSettled(group.map(async (arrival) => (await accept([arrival], canWait))[0] as Result));
    }
  }
}
