// One turn of a delivery, read from top to bottom: guard → (resolve → sign → POST) → decide → record → settle. The
// promise of `take` ends with the request, so that the endpoint's next one can begin while the result is recorded.

import { scheduleLengthMs } from "../domain/backoff.ts";
import type { Route } from "../domain/delivery.ts";
import type { WebhookId } from "../domain/ids.ts";
import { STREAM_RETRY_MAX_MS } from "../domain/limits.ts";
import { DISABLED_REASONS } from "../domain/operational-event.ts";
import { failureOf, type Outcome } from "../domain/outcome.ts";
import { partitionName } from "../domain/partition.ts";
import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/random.ts";
import { TtlCache } from "../lib/ttl-cache.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { Circuits } from "./circuits.ts";
import type { HeldMessages } from "./held.ts";
import type { DeliveryLog, Endpoint, Endpoints, Held, Sender } from "./ports.ts";
import { answerStream, type Decision, decide, isHandedBack, type Turn } from "./settle.ts";

export type AttemptOptions = {
  clock: Clock;
  random: Random;
  observe: Observe;
  endpoints: Endpoints;
  circuits: Circuits;
  sender: Sender;
  log: DeliveryLog;
  held: HeldMessages;
  /** Seconds between attempts. */
  retrySchedule: readonly number[];
  attemptTimeoutMs: number;
  /** So much of this lane waits for a slow endpoint that one more would be handed back. */
  isCrowded: (route: Route) => boolean;
  /** A message of this lane was acked: there is room for another. `isHandedBack`: its row waits again, due as before. */
  onLeftStream: (route: Route, isHandedBack: boolean) => void;
  /** A turn is over: recorded and answered for, or given up. */
  onRecorded: () => void;
  onOutcome: (outcome: Outcome) => void;
};

/** How much longer than its schedule a delivery may live: retries wait their turn behind others. */
const EXPIRY_SLACK_MS = 24 * 3_600_000;

/** Settings that cannot be read just now (Postgres is away) are asked for again after this. */
const UNREADABLE_PAUSE_MS = 2_000;
/** Secrets that cannot be read wait for an operator. */
const UNDECIPHERABLE_PAUSE_MS = STREAM_RETRY_MAX_MS;
/** Of each endpoint it is said this often. */
const UNREADABLE_REPORT_MS = 60_000;
const UNREADABLE_REPORTS_MAX = 10_000;

export class Attempts {
  readonly #options: AttemptOptions;
  /** Turns that are not recorded and answered for yet, and who waits for their end. */
  #unsettled = 0;
  #whenSettled: (() => void)[] = [];
  readonly #expiresAfterMs: number;
  /** Endpoints of which it has been said lately that they cannot be read. */
  readonly #reported: TtlCache<WebhookId, true>;

  constructor(options: AttemptOptions) {
    this.#options = options;
    const { clock } = options;
    this.#reported = new TtlCache({ clock, ttlMs: UNREADABLE_REPORT_MS, entriesMax: UNREADABLE_REPORTS_MAX });
    this.#expiresAfterMs = scheduleLengthMs(options.retrySchedule) + EXPIRY_SLACK_MS;
  }

  /** Resolves when the request, if there was one, has ended. */
  async take(held: Held): Promise<void> {
    this.#options.held.begin(held);
    const { endpoints } = this.#options;
    let endpoint: Endpoint | undefined;
    try {
      // Known most of the time, and then there is nothing to wait for.
      const found = endpoints.find(held.message.webhookId);
      endpoint = found instanceof Promise ? await found : found;
      // It may have been switched on again unheard, and then nothing is to be cancelled.
      if (endpoint?.isActive !== true) endpoint = await endpoints.reload(held.message.webhookId);
    } catch (error) {
      this.#reportUnreadable(held.message.webhookId, describeError(error));
      return this.end(held, { kind: "postponed", delayMs: UNREADABLE_PAUSE_MS });
    }
    if (!held.tenure.isCurrent()) return this.#options.held.remove(held);
    const refusal = this.#guard(held, endpoint);
    if (refusal !== undefined) return this.end(held, refusal);
    const { circuits } = this.#options;
    const gate = circuits.ask(endpoint as Endpoint);
    if (gate === "shut") return this.end(held, { kind: "handed_back" });
    const isProbe = gate === "probe";
    const answered = await this.#post(held, endpoint as Endpoint);
    if (answered === undefined) {
      if (isProbe) circuits.withdrawProbe(endpoint as Endpoint);
      return this.end(held, { kind: "postponed", delayMs: 0 });
    }
    const outcome = answered.kind === "gone" ? await this.#ofItsUrl(answered, endpoint as Endpoint) : answered;
    this.#options.onOutcome(outcome);
    const isCrowded = outcome.kind === "failed" && this.#options.isCrowded(held.message);
    const turn = { kind: "attempted", outcome, isCrowded } as const;
    const hopeless = this.#whyDisable(endpoint as Endpoint, outcome, isProbe);
    if (hopeless === undefined) return this.end(held, turn);
    // Disabling cancels what is pending, so this attempt's result is recorded first.
    endpoints.shut(endpoint as Endpoint);
    this.end(held, turn, () => endpoints.disable(endpoint as Endpoint, hopeless));
  }

  /** Resolves when everything begun has been recorded and answered for. */
  async settled(): Promise<void> {
    while (this.#unsettled > 0) await new Promise<void>((resolve) => this.#whenSettled.push(resolve));
  }

  #guard({ message, pendingFrom }: Held, endpoint: Endpoint | undefined): Turn | undefined {
    const { clock } = this.#options;
    if (endpoint === undefined || !endpoint.isActive) return { kind: "cancelled" };
    if (endpoint.cancelBefore !== null && message.pendingSince <= endpoint.cancelBefore) return { kind: "cancelled" };
    // By the row's clock: this machine's may be days ahead.
    if (pendingFrom !== undefined && clock.monotonic() - pendingFrom > this.#expiresAfterMs) return { kind: "expired" };
    if (endpoint.unreadable !== null) {
      this.#reportUnreadable(endpoint.webhookId, endpoint.unreadable);
      return { kind: "postponed", delayMs: UNDECIPHERABLE_PAUSE_MS };
    }
    return undefined;
  }

  #post({ message, tenure }: Held, endpoint: Endpoint): Promise<Outcome | undefined> {
    return this.#options.sender.send({
      url: endpoint.url,
      headers: endpoint.headers,
      secrets: endpoint.secrets,
      eventId: message.eventId,
      userId: message.userId,
      payload: message.payload,
      timeoutMs: this.#options.attemptTimeoutMs,
      mayStart: () => tenure.mayStartRequest(this.#options.attemptTimeoutMs),
    });
  }

  /** That a former URL is gone says nothing of the present one, which the delivery is tried at next. */
  async #ofItsUrl(gone: Outcome & { kind: "gone" }, { webhookId, url }: Endpoint): Promise<Outcome> {
    const present = await this.#options.endpoints.reload(webhookId).catch(() => undefined);
    return present?.url === url ? gone : failureOf(gone.answer, gone.latencyMs);
  }

  #reportUnreadable(webhookId: WebhookId, error: string): void {
    if (this.#reported.get(webhookId) !== undefined) return;
    this.#reported.set(webhookId, true);
    this.#options.observe("endpoint.unreadable", { webhook_id: webhookId, error });
  }

  /** Tells the circuit how the attempt ended. Why the webhook should be disabled; undefined: it should not. */
  #whyDisable(endpoint: Endpoint, outcome: Outcome, isProbe: boolean): string | undefined {
    const verdict = this.#options.circuits.tell(endpoint, outcome, isProbe);
    if (outcome.kind === "gone") return DISABLED_REASONS.gone;
    return verdict === "hopeless" ? DISABLED_REASONS.hopeless : undefined;
  }

  /** Settles in the background: a turn's end holds nobody up. */
  end(held: Held, turn: Turn, whenSettled?: () => void): void {
    const { retrySchedule, random, log } = this.#options;
    const decision = decide(held, turn, retrySchedule, random);
    this.#options.held.end(held);
    this.#unsettled += 1;
    const settle = (isRecorded: boolean): void => {
      this.#settle(held, decision, isRecorded);
      whenSettled?.();
    };
    if (decision.result === null) settle(true);
    else {
      log.record(decision.result, held.tenure).then(
        (error) => settle(error === undefined),
        () => settle(false),
      );
    }
    this.#observe(held, turn, decision);
  }

  /** What could not be recorded is neither acked nor naked: the stream brings it again, and its row is checked then. */
  #settle(held: Held, decision: Decision, isRecorded: boolean): void {
    const { held: all, onLeftStream, onRecorded } = this.#options;
    if (isRecorded) answerStream(held, decision);
    all.remove(held);
    if (isRecorded && decision.answer.kind === "ack") onLeftStream(held.message, isHandedBack(decision));
    this.#unsettled -= 1;
    if (this.#unsettled === 0) for (const resolve of this.#whenSettled.splice(0)) resolve();
    onRecorded();
  }

  #observe({ message }: Held, turn: Turn, { result, answer }: Decision): void {
    const { observe } = this.#options;
    const { deliveryId, webhookId } = message;
    if (turn.kind === "cancelled") {
      observe("delivery.cancelled", { delivery_id: deliveryId, webhook_id: webhookId, reason: "webhook not active" });
    } else if (turn.kind === "obsolete") {
      observe("delivery.dropped", { delivery_id: deliveryId, reason: "obsolete message" });
    } else if (turn.kind === "expired") {
      observe("delivery.expired", { delivery_id: deliveryId, webhook_id: webhookId });
    }
    if (turn.kind !== "attempted" || result?.attempt == null) return;
    const { place, attempt } = result;
    observe("delivery.attempted", {
      delivery_id: deliveryId,
      event_id: message.eventId,
      event_type: message.eventType,
      webhook_id: webhookId,
      user_id: message.userId,
      priority: message.priority,
      partition: partitionName(message.partition),
      attempt: attempt.attempt,
      status: place.kind === "completed" ? place.status : "pending",
      status_code: attempt.statusCode,
      error: attempt.error,
      latency_ms: attempt.latencyMs,
      next_in_ms: place.kind === "completed" ? null : answer.kind === "nak" ? answer.delayMs : place.delayMs,
    });
  }
}
