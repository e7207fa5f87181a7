// Records results in batches and never gives one up: while Postgres is away results wait here, and so do their acks.

import type { DeliveryId } from "../domain/ids.ts";
import type { TurnResult } from "../domain/turn-result.ts";
import { RESULTS_BATCH_MAX, RESULTS_WAITING_MAX } from "../domain/limits.ts";
import { Batcher } from "../lib/batcher.ts";
import { type Clock, sleep } from "../lib/clock.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { DeliveryLog, DeliveryState, Tenure } from "./ports.ts";

/**
 * How long a result waits for others: a batch of fifty costs Postgres half as much per row as one of five, and whoever
 * accepts an event just then waits for one disk flush less. What a kill -9 catches waiting is sent again.
 */
const RESULTS_LINGER_MS = 50;
/** A message waits for its check before anything else happens to it. */
const CHECKS_LINGER_MS = 5;
const BATCHES_IN_FLIGHT_MAX = 2;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
const CHECKS_WAITING_MAX = 50_000;

export type RecorderOptions = {
  clock: Clock;
  observe: Observe;
  /** Writes results in one statement; writing the same ones twice must change nothing. */
  write: (results: readonly (TurnResult & { agoMs: number })[]) => Promise<void>;
  read: (ids: readonly DeliveryId[]) => Promise<ReadonlyMap<DeliveryId, DeliveryState>>;
  /** The database understood the statement and refused a value of it: trying again is no use. */
  isRefusal: (error: unknown) => boolean;
};

type Waiting = { result: TurnResult; tenure: Pick<Tenure, "isCurrent">; at: number };

export class Recorder implements DeliveryLog {
  readonly #options: RecorderOptions;
  /** Answers with the error of a result that can never be recorded. */
  readonly #attempts: Batcher<Waiting, unknown>;
  /** Turns without a request: thousands at once when mailboxes are handed back. No attempt's result waits behind them. */
  readonly #others: Batcher<Waiting, unknown>;
  readonly #checks: Batcher<DeliveryId, DeliveryState | undefined>;

  constructor(options: RecorderOptions) {
    this.#options = options;
    const { clock } = options;
    const results = (inFlightMax: number): Batcher<Waiting, unknown> =>
      new Batcher({
        clock,
        sizeMax: () => RESULTS_BATCH_MAX,
        lingerMs: RESULTS_LINGER_MS,
        inFlightMax,
        // Requests stop at RESULTS_WAITING_MAX; what was in flight then must still find a place.
        waitingMax: Number.POSITIVE_INFINITY,
        run: (waiting) => this.#write(waiting),
      });
    this.#attempts = results(BATCHES_IN_FLIGHT_MAX);
    this.#others = results(1);
    this.#checks = new Batcher({
      clock,
      sizeMax: () => RESULTS_BATCH_MAX,
      lingerMs: CHECKS_LINGER_MS,
      inFlightMax: BATCHES_IN_FLIGHT_MAX,
      waitingMax: CHECKS_WAITING_MAX,
      async run(ids) {
        const states = await options.read(ids);
        return ids.map((id) => states.get(id));
      },
    });
  }

  /** Results that are not committed yet. */
  get waiting(): number {
    return this.#attempts.size + this.#others.size;
  }

  hasRoom(): boolean {
    return this.#attempts.size < RESULTS_WAITING_MAX;
  }

  record(result: TurnResult, tenure: Pick<Tenure, "isCurrent">): Promise<unknown> {
    const batcher = result.attempt === null ? this.#others : this.#attempts;
    return batcher.add({ result, tenure, at: this.#options.clock.monotonic() });
  }

  check(deliveryId: DeliveryId): Promise<DeliveryState | undefined> {
    return this.#checks.add(deliveryId);
  }

  async drain(): Promise<void> {
    await Promise.all([this.#attempts.drain(), this.#others.drain()]);
  }

  async #write(waiting: readonly Waiting[]): Promise<unknown[]> {
    const { clock, observe, write, isRefusal } = this.#options;
    for (let pauseMs = RETRY_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS)) {
      // Written late, another owner's message would be taken from it while it sends: and it would be sent again.
      const isDropped = waiting.map(({ result, tenure }) => result.attempt === null && !tenure.isCurrent());
      const kept = waiting.filter((_, index) => isDropped[index] === false);
      try {
        if (kept.length > 0) await write(kept.map(({ result, at }) => ({ ...result, agoMs: clock.monotonic() - at })));
        return isDropped.map((isLost) => (isLost ? LEASE_LOST : undefined));
      } catch (error) {
        observe("record.failed", { results: waiting.length, error: describeError(error) });
        if (isRefusal(error)) return this.#writeOneByOne(waiting, error);
        await sleep(clock, pauseMs);
      }
    }
  }

  /** One value that Postgres refuses must not hold the others up: it is recorded without what the receiver said. */
  async #writeOneByOne(waiting: readonly Waiting[], error: unknown): Promise<unknown[]> {
    const [first, ...others] = waiting;
    if (first === undefined) return [];
    if (others.length > 0) {
      const errors: unknown[] = [];
      for (const one of waiting) errors.push(...(await this.#write([one])));
      return errors;
    }
    const bare = withoutWords(first.result);
    return bare === undefined ? [error] : this.#write([{ ...first, result: bare }]);
  }
}

const LEASE_LOST = new Error("the lease was lost before this was written");
const UNSTORABLE = "the receiver's words could not be stored";

/** Undefined: nothing was left to take away. */
function withoutWords(result: TurnResult): TurnResult | undefined {
  const { attempt, error } = result;
  if (attempt === null || (attempt.responseBody === null && [null, UNSTORABLE].includes(error))) return undefined;
  const bareError = attempt.error === null ? null : UNSTORABLE;
  return { ...result, error: bareError, attempt: { ...attempt, error: bareError, responseBody: null } };
}
