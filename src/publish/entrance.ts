// The way in: arrivals that come together share a statement, and nobody waits behind another account's burst.
//
//   prompt   everybody, up to a few arrivals of one account at a time
//   bulk     what an account has beyond those: a burst
//   wide     accounts with many webhooks: each of their events is many rows
//
// Bulk and wide arrivals go in among themselves, one statement at a time, and give way while others are there.

import type { UserId } from "../domain/ids.ts";
import { Batcher } from "../lib/batcher.ts";
import type { Clock } from "../lib/clock.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { GiveWay } from "./give-way.ts";

const GROUP_MAX = 100;
/** Fewer where rows must not stand behind thousands of somebody else's. */
const BULK_GROUP_MAX = 50;
const WIDE_GROUP_MAX = 5;
/** How long the first of a group waits: a statement for seven costs Postgres a third per row of one for one. */
const GROUP_LINGER_MS = 2;
/** Few: what arrives while a group is written makes the next one larger, and a row of a large group costs less. */
const GROUPS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 10_000;
/** Arrivals of one account that may wait among everybody else's; more of them are a burst. */
const PROMPT_PER_USER_MAX = 8;
const BURST_REMEMBERED_MS = 2_000;
const BURSTS_MAX = 10_000;

export type EntranceOptions<Arrival, Result> = {
  clock: Clock;
  giveWay: GiveWay;
  /** Accepts arrivals in one statement: one result each, in their order. */
  accept: (group: readonly Arrival[]) => Promise<readonly Result[]>;
  /** The statement was refused because of a value in it. */
  isFaultyValue: (error: unknown) => boolean;
};

type Settled<Result> = PromiseSettledResult<Result>;

export class Entrance<Arrival, Result> {
  readonly #options: EntranceOptions<Arrival, Result>;
  readonly #prompt: Batcher<Arrival, Settled<Result>>;
  readonly #bulk: Batcher<Arrival, Settled<Result>>;
  readonly #wide: Batcher<Arrival, Settled<Result>>;
  readonly #promptByUser = new Map<UserId, number>();
  /** Accounts that have had more than their places lately: what they have in `prompt` is no reason to give way. */
  readonly #bursting: TtlCache<UserId, true>;

  constructor(options: EntranceOptions<Arrival, Result>) {
    this.#options = options;
    const { clock, giveWay } = options;
    this.#bursting = new TtlCache({ clock, ttlMs: BURST_REMEMBERED_MS, entriesMax: BURSTS_MAX });
    const bounds = { clock, lingerMs: GROUP_LINGER_MS, waitingMax: WAITING_MAX };
    const run = (group: readonly Arrival[]) => this.#accept(group);
    const restMs = (tookMs: number) => giveWay.restMs(tookMs);
    this.#prompt = new Batcher({ ...bounds, run, sizeMax: GROUP_MAX, inFlightMax: GROUPS_IN_FLIGHT_MAX });
    this.#bulk = new Batcher({ ...bounds, run, sizeMax: BULK_GROUP_MAX, inFlightMax: 1, restMs });
    this.#wide = new Batcher({ ...bounds, run, sizeMax: WIDE_GROUP_MAX, inFlightMax: 1, restMs });
  }

  /** `isWide`: one event of this account makes many deliveries. */
  async add(userId: UserId, isWide: boolean, arrival: Arrival): Promise<Result> {
    const settled = await this.#enter(userId, isWide, arrival);
    if (settled.status === "rejected") throw settled.reason;
    return settled.value;
  }

  async drain(): Promise<void> {
    await Promise.all([this.#prompt.drain(), this.#bulk.drain(), this.#wide.drain()]);
  }

  #enter(userId: UserId, isWide: boolean, arrival: Arrival): Promise<Settled<Result>> {
    const waiting = this.#promptByUser.get(userId) ?? 0;
    if (!isWide && waiting < PROMPT_PER_USER_MAX) return this.#enterPrompt(userId, waiting, arrival);
    this.#bursting.set(userId, true);
    return (isWide ? this.#wide : this.#bulk).add(arrival);
  }

  async #enterPrompt(userId: UserId, waiting: number, arrival: Arrival): Promise<Settled<Result>> {
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

  /** A value that Postgres refuses must not fail the others: then each arrival has a statement, and an end, of its own. */
  async #accept(group: readonly Arrival[]): Promise<readonly Settled<Result>[]> {
    const { accept, isFaultyValue } = this.#options;
    try {
      return (await accept(group)).map((value) => ({ status: "fulfilled", value }));
    } catch (error) {
      if (!isFaultyValue(error) || group.length === 1) throw error;
      return Promise.allSettled(group.map(async (arrival) => (await accept([arrival]))[0] as Result));
    }
  }
}
