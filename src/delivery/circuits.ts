// The gates of this worker's endpoints: shut by an open circuit or by a receiver's Retry-After. Kept in memory, written to
// `endpoints` on transitions, so that they hold wherever the partition goes. Each is the gate of a URL: when its webhook
// is given another one, what the former one still answers counts no more.

import { afterOutcome, type Circuit, CLOSED } from "../domain/circuit.ts";
import type { WebhookId } from "../domain/ids.ts";
import { ENDPOINT_FAILING_MAX_MS, MASS_CHANGE_ROWS_MAX, WORKER_QUERY_TIMEOUT_MS } from "../domain/limits.ts";
import { endpointHoldMs, type Outcome } from "../domain/outcome.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { Target } from "./ports.ts";

/** As it stands in the table; times in milliseconds. */
export type StoredCircuit = {
  circuit: Circuit;
  gateOpensInMs: number;
  /** How long no attempt has succeeded; null: not failing. */
  failingForMs: number | null;
};

export type CircuitChange = { circuit: Circuit; shutForMs: number; isFailing: boolean };

export type CircuitsOptions = {
  clock: Clock;
  observe: Observe;
  /** Writes nothing when the webhook has another URL by now. */
  save: (target: Target, change: CircuitChange) => Promise<void>;
  /** Endpoints that had a success lately, up to MASS_CHANGE_ROWS_MAX of them. */
  noteSuccesses: (webhookIds: readonly WebhookId[]) => Promise<void>;
};

/** `probe`: this delivery may find out whether the receiver is back; nobody else does meanwhile. */
export type Gate = "open" | "shut" | "probe";

type State = {
  url: string;
  circuit: Circuit;
  gateOpensAt: number;
  isProbing: boolean;
  failingSince: number | undefined;
  /** The table knows that it is failing. */
  isFailureNoted: boolean;
  touchedAt: number;
};

/** An endpoint that is being written, and what is to be written next: of two writes at once the older might land last. */
type Writing = { next: { target: Target; state: State } | undefined; done: Promise<void> };

/** `last_success_at` is written at most this often. */
const SUCCESS_FLUSH_MS = 60_000;
const CHANGES_MAX = 50_000;

/** That an endpoint is failing is written when its circuit opens, or once it has been failing for so long: not at every hiccup. */
const FAILURE_NOTED_AFTER_MS = 60_000;

/**
 * Of an endpoint without an attempt for so long nothing is remembered: it was deleted, or is another worker's. Longer than
 * the default schedule waits between two attempts; open circuits and gates stand in the table besides.
 */
const IDLE_MAX_MS = 2 * 86_400_000;

export class Circuits implements Service {
  readonly name = "circuits";
  readonly #options: CircuitsOptions;
  /** Only endpoints that are not simply well. */
  readonly #states = new Map<WebhookId, State>();
  /** When the writing of a change last began or ended, for as long as an older reading may still be on its way. */
  readonly #changedAt: TtlCache<WebhookId, number>;
  readonly #writing = new Map<WebhookId, Writing>();
  #succeeded = new Set<WebhookId>();
  #flushing = Promise.resolve();
  #timer: Timer | undefined;

  constructor(options: CircuitsOptions) {
    this.#options = options;
    this.#changedAt = new TtlCache({
      clock: options.clock,
      ttlMs: 2 * WORKER_QUERY_TIMEOUT_MS,
      entriesMax: CHANGES_MAX,
    });
  }

  start(): Promise<void> {
    this.#timer = this.#options.clock.after(SUCCESS_FLUSH_MS, () => {
      this.#flushing = this.#flushSuccesses().catch((error: unknown) => this.#report("note successes", error));
      this.#forgetIdle();
      void this.start().catch(() => {});
    });
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#flushing;
    await this.#flushSuccesses().catch(() => {});
    await Promise.all(Array.from(this.#writing.values(), ({ done }) => done));
  }

  /** What the table says, whenever it has been read; `askedAt`: monotonic time before that. */
  load({ webhookId, url }: Target, stored: StoredCircuit, askedAt: number): void {
    // Written meanwhile: what was read may be from before it.
    if ((this.#changedAt.get(webhookId) ?? Number.NEGATIVE_INFINITY) > askedAt) return;
    const known = this.#stateOf({ webhookId, url });
    if (this.#writing.has(webhookId) || known?.isProbing === true) return;
    const isWell = !stored.circuit.isOpen && stored.gateOpensInMs === 0 && stored.failingForMs === null;
    if (isWell && (known === undefined || known.circuit.isOpen || known.isFailureNoted)) {
      this.#states.delete(webhookId);
      return;
    }
    const now = this.#options.clock.monotonic();
    this.#states.set(webhookId, {
      url,
      circuit: stored.circuit.isOpen ? stored.circuit : (known?.circuit ?? stored.circuit),
      gateOpensAt: now + stored.gateOpensInMs,
      isProbing: false,
      failingSince: stored.failingForMs === null ? known?.failingSince : now - stored.failingForMs,
      isFailureNoted: stored.failingForMs !== null,
      touchedAt: now,
    });
  }

  /** Endpoints of which something is remembered. */
  get size(): number {
    return this.#states.size;
  }

  /** May an attempt start? After `probe` its outcome must be told. */
  ask(target: Target): Gate {
    const state = this.#stateOf(target);
    if (state === undefined) return "open";
    const now = this.#options.clock.monotonic();
    state.touchedAt = now;
    if (now < state.gateOpensAt) return "shut";
    if (!state.circuit.isOpen) return "open";
    if (state.isProbing) return "shut";
    state.isProbing = true;
    return "probe";
  }

  /** The probe did not take place. */
  withdrawProbe({ webhookId, url }: Target): void {
    const state = this.#states.get(webhookId);
    if (state?.url === url) state.isProbing = false;
  }

  /**
   * How an attempt ended; `isProbe`: so was it allowed to begin. `hopeless`: nothing has succeeded for so long that the
   * webhook should be disabled.
   */
  tell(target: Target, outcome: Outcome, isProbe: boolean): "hopeless" | undefined {
    const { webhookId, url } = target;
    const known = this.#states.get(webhookId);
    if (known !== undefined && known.url !== url) return undefined;
    const isSuccess = outcome.kind === "accepted";
    if (isSuccess) this.#succeeded.add(webhookId);
    if (known === undefined && isSuccess) return undefined;
    const now = this.#options.clock.monotonic();
    const state = known ?? well(url, now);
    state.touchedAt = now;
    const before = state.circuit;
    const { circuit, shutForMs: circuitMs } = afterOutcome(before, outcome, isProbe);
    const shutForMs = Math.max(circuitMs, endpointHoldMs(outcome) ?? 0);
    state.circuit = circuit;
    // A success opens what a circuit has shut; not what a Retry-After has, beside which its request was under way.
    if (isSuccess && before.isOpen) state.gateOpensAt = now;
    if (shutForMs > 0) state.gateOpensAt = Math.max(state.gateOpensAt, now + shutForMs);
    if (isProbe) state.isProbing = false;
    if (isSuccess) state.failingSince = undefined;
    else state.failingSince ??= now;
    const wasNoted = state.isFailureNoted;
    const failingForMs = now - (state.failingSince ?? now);
    state.isFailureNoted = !isSuccess && (wasNoted || circuit.isOpen || failingForMs >= FAILURE_NOTED_AFTER_MS);
    if (isSuccess && state.gateOpensAt <= now) this.#states.delete(webhookId);
    else this.#states.set(webhookId, state);
    if (shutForMs > 0 || before.isOpen !== circuit.isOpen || wasNoted !== state.isFailureNoted) {
      this.#announce(webhookId, before, circuit, shutForMs);
      this.#save(target, state);
    }
    return failingForMs > ENDPOINT_FAILING_MAX_MS ? "hopeless" : undefined;
  }

  /** What is remembered of this URL: of a former one nothing is. */
  #stateOf({ webhookId, url }: Target): State | undefined {
    const state = this.#states.get(webhookId);
    if (state === undefined || state.url === url) return state;
    this.#states.delete(webhookId);
    return undefined;
  }

  #announce(webhookId: WebhookId, before: Circuit, circuit: Circuit, shutForMs: number): void {
    const { observe } = this.#options;
    if (circuit.openings > before.openings) {
      observe("circuit.opened", { webhook_id: webhookId, for_ms: Math.round(shutForMs), failures: circuit.failures });
    } else if (before.isOpen && !circuit.isOpen) observe("circuit.closed", { webhook_id: webhookId });
    else if (shutForMs > 0) observe("endpoint.held_back", { webhook_id: webhookId, for_ms: Math.round(shutForMs) });
  }

  #save(target: Target, state: State): void {
    const { webhookId } = target;
    this.#changedAt.set(webhookId, this.#options.clock.monotonic());
    const known = this.#writing.get(webhookId);
    if (known !== undefined) {
      known.next = { target, state };
      return;
    }
    const writing: Writing = { next: { target, state }, done: Promise.resolve() };
    this.#writing.set(webhookId, writing);
    writing.done = this.#write(webhookId, writing);
  }

  async #write(webhookId: WebhookId, writing: Writing): Promise<void> {
    const { clock, save } = this.#options;
    for (let due = writing.next; due !== undefined; due = writing.next) {
      writing.next = undefined;
      const { circuit, gateOpensAt, isFailureNoted } = due.state;
      const shutForMs = Math.max(0, gateOpensAt - clock.monotonic());
      await save(due.target, { circuit, shutForMs, isFailing: isFailureNoted }).catch((error: unknown) =>
        this.#report(`save circuit of ${webhookId}`, error),
      );
      this.#changedAt.set(webhookId, clock.monotonic());
    }
    this.#writing.delete(webhookId);
  }

  #forgetIdle(): void {
    const before = this.#options.clock.monotonic() - IDLE_MAX_MS;
    for (const [webhookId, { touchedAt }] of this.#states) if (touchedAt < before) this.#states.delete(webhookId);
  }

  async #flushSuccesses(): Promise<void> {
    const webhookIds = [...this.#succeeded];
    this.#succeeded = new Set();
    for (let at = 0; at < webhookIds.length; at += MASS_CHANGE_ROWS_MAX) {
      await this.#options.noteSuccesses(webhookIds.slice(at, at + MASS_CHANGE_ROWS_MAX));
    }
  }

  #report(task: string, error: unknown): void {
    this.#options.observe("housekeeping.failed", { task, error: describeError(error) });
  }
}

function well(url: string, now: number): State {
  return {
    url,
    circuit: CLOSED,
    gateOpensAt: 0,
    isProbing: false,
    failingSince: undefined,
    isFailureNoted: false,
    touchedAt: now,
  };
}
