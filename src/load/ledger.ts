// The books: every event that was posted, every delivery that has to come of it, and what came. Posts and arrivals meet
// by a number that travels in the event. Exact, in typed arrays: some 40 bytes an event, 5 a delivery.

import {
  ANSWERED,
  ARRIVED,
  type ArrivalRecord,
  OVERLAPPED,
  SIGNATURE_CHECKED,
  SIGNATURE_WRONG,
} from "./receiver/records.ts";

/** What one run can account for. Memory that is not needed is not touched. */
const EVENTS_MAX = 4_000_000;
const DELIVERIES_MAX = 16_000_000;

/** Lost deliveries that are named in the report. */
const LOST_NAMED_MAX = 20;

export const PHASES = ["warm-up", "quiet", "noise"] as const;
export type Phase = (typeof PHASES)[number];

const POSTED = 1;
const ACCEPTED = 2;
const REFUSED = 3;

type Webhook = { isHealthy: boolean; latestSentAt: number };
/** Its webhooks are numbered one after the other, and so are the deliveries of each of its events. */
type Account = { group: number; firstWebhook: number; webhooks: number };

export type GroupTally = {
  posted: number;
  accepted: number;
  /** Deliveries that accepted events have to make, and those that receivers have answered with 2xx. */
  expected: number;
  delivered: number;
  /** The same for healthy receivers alone. */
  expectedHealthy: number;
  deliveredHealthy: number;
};

export type Findings = {
  attempts: number;
  duplicated: number;
  overlapping: number;
  outOfOrder: number;
  outOfOrderHealthy: number;
  /** Arrivals that nobody posted, or at another account's webhook. */
  misrouted: number;
  /** Arrivals whose webhook-id was not that of the event's other arrivals, or of the API's answer. */
  changedIds: number;
  signaturesChecked: number;
  signaturesWrong: number;
};

class LedgerFullError extends Error {
  constructor() {
    super(`one run accounts for at most ${EVENTS_MAX} events and ${DELIVERIES_MAX} deliveries`);
  }
}

export class Ledger {
  readonly groups: GroupTally[] = [];
  readonly findings: Findings = {
    attempts: 0,
    duplicated: 0,
    overlapping: 0,
    outOfOrder: 0,
    outOfOrderHealthy: 0,
    misrouted: 0,
    changedIds: 0,
    signaturesChecked: 0,
    signaturesWrong: 0,
  };
  phase: Phase = "warm-up";
  /** Told of the latency of every first arrival. */
  onFirstArrival: (group: number, latencyMs: number) => void = () => {};

  readonly #accounts: Account[] = [];
  readonly #webhooks: Webhook[] = [];
  #events = 0;
  #deliveries = 0;
  readonly #sentAt = new Float64Array(EVENTS_MAX);
  readonly #answeredAt = new Float64Array(EVENTS_MAX);
  readonly #state = new Uint8Array(EVENTS_MAX);
  readonly #phase = new Uint8Array(EVENTS_MAX);
  readonly #account = new Uint32Array(EVENTS_MAX);
  readonly #firstDelivery = new Uint32Array(EVENTS_MAX);
  readonly #idTail = new Uint32Array(EVENTS_MAX);
  /** 0: has not arrived. */
  readonly #latencyMs = new Float32Array(DELIVERIES_MAX);
  readonly #successes = new Uint8Array(DELIVERIES_MAX);

  get events(): number {
    return this.#events;
  }

  addGroup(): number {
    return (
      this.groups.push({ posted: 0, accepted: 0, expected: 0, delivered: 0, expectedHealthy: 0, deliveredHealthy: 0 }) -
      1
    );
  }

  /** `areHealthy` has one entry per webhook. The webhooks get the numbers from `firstWebhook` on. */
  addAccount(group: number, areHealthy: readonly boolean[]): { account: number; firstWebhook: number } {
    const firstWebhook = this.#webhooks.length;
    for (const isHealthy of areHealthy) this.#webhooks.push({ isHealthy, latestSentAt: Number.NEGATIVE_INFINITY });
    return { account: this.#accounts.push({ group, firstWebhook, webhooks: areHealthy.length }) - 1, firstWebhook };
  }

  /** Notes an event right before it is posted; its number is to travel in it. Throws LedgerFullError. */
  post(account: number, at: number): number {
    const { group, webhooks } = this.#accountOf(account);
    if (this.#events === EVENTS_MAX || this.#deliveries + webhooks > DELIVERIES_MAX) throw new LedgerFullError();
    const event = this.#events;
    this.#events += 1;
    this.#sentAt[event] = at;
    this.#answeredAt[event] = Number.NaN;
    this.#state[event] = POSTED;
    this.#phase[event] = PHASES.indexOf(this.phase);
    this.#account[event] = account;
    this.#firstDelivery[event] = this.#deliveries;
    this.#deliveries += webhooks;
    this.#group(group).posted += 1;
    return event;
  }

  /** The API has answered that it is accepted; with the event's id where the answer tells it. */
  accept(event: number, at: number, idTail?: number): void {
    this.#answeredAt[event] = at;
    this.#state[event] = ACCEPTED;
    if (idTail !== undefined) this.#meetId(event, idTail);
    const tally = this.#group(this.#accountOf(this.#account[event] ?? 0).group);
    tally.accepted += 1;
    this.#forEachDelivery(event, (delivery, { isHealthy }) => {
      tally.expected += 1;
      if (isHealthy) tally.expectedHealthy += 1;
      // It may have come before the answer.
      if (this.#successes[delivery] !== 0) countDelivered(tally, isHealthy);
    });
  }

  /** The API has answered that it is not. One without any answer stays as it is: it may have been accepted. */
  refuse(event: number): void {
    this.#state[event] = REFUSED;
  }

  record({ at, event, webhook, idTail, flags }: ArrivalRecord): void {
    const { findings } = this;
    if (flags & OVERLAPPED) findings.overlapping += 1;
    if (flags & SIGNATURE_CHECKED) findings.signaturesChecked += 1;
    if (flags & SIGNATURE_WRONG) findings.signaturesWrong += 1;
    if ((flags & (ARRIVED | ANSWERED)) === 0) return;
    if (flags & ARRIVED) findings.attempts += 1;
    const { group, firstWebhook, webhooks } = this.#accountOf(this.#account[event] ?? 0);
    const ordinal = webhook - firstWebhook;
    if (event >= this.#events || ordinal < 0 || ordinal >= webhooks) {
      findings.misrouted += 1;
      return;
    }
    const delivery = (this.#firstDelivery[event] ?? 0) + ordinal;
    if (flags & ARRIVED) {
      this.#meetId(event, idTail);
      if (this.#latencyMs[delivery] === 0) this.#arrive(event, delivery, group, at);
    }
    if (flags & ANSWERED) this.#deliver(event, delivery, group, webhook);
  }

  /** Deliveries of accepted events that no receiver has answered with 2xx. */
  undelivered(): { healthy: number; faulty: number; named: { event: number; webhook: number }[] } {
    const result = { healthy: 0, faulty: 0, named: [] as { event: number; webhook: number }[] };
    for (let event = 0; event < this.#events; event += 1) {
      if (this.#state[event] !== ACCEPTED) continue;
      this.#forEachDelivery(event, (delivery, { isHealthy }, webhook) => {
        if (this.#successes[delivery] !== 0) return;
        if (!isHealthy) result.faulty += 1;
        else {
          result.healthy += 1;
          if (result.named.length < LOST_NAMED_MAX) result.named.push({ event, webhook });
        }
      });
    }
    return result;
  }

  /** Events by what the API said of them. */
  answers(): { posted: number; accepted: number; refused: number; unanswered: number } {
    const counts = { posted: this.#events, accepted: 0, refused: 0, unanswered: 0 };
    for (let event = 0; event < this.#events; event += 1) {
      const state = this.#state[event];
      if (state === ACCEPTED) counts.accepted += 1;
      else if (state === REFUSED) counts.refused += 1;
      else counts.unanswered += 1;
    }
    return counts;
  }

  /** Every first arrival: whose, when its event was sent, in which phase, and how long it took. */
  forEachLatency(each: (group: number, sentAt: number, phase: Phase, latencyMs: number) => void): void {
    for (let event = 0; event < this.#events; event += 1) {
      const { group } = this.#accountOf(this.#account[event] ?? 0);
      const phase = this.#phaseOf(event);
      this.#forEachDelivery(event, (delivery) => {
        const latencyMs = this.#latencyMs[delivery] ?? 0;
        if (latencyMs > 0) each(group, this.#sentAt[event] ?? 0, phase, latencyMs);
      });
    }
  }

  /** Every accepted event: whose, in which phase, and how long the API took to answer. */
  forEachAnswer(each: (group: number, phase: Phase, latencyMs: number) => void): void {
    for (let event = 0; event < this.#events; event += 1) {
      if (this.#state[event] !== ACCEPTED) continue;
      const { group } = this.#accountOf(this.#account[event] ?? 0);
      each(group, this.#phaseOf(event), (this.#answeredAt[event] ?? 0) - (this.#sentAt[event] ?? 0));
    }
  }

  #phaseOf(event: number): Phase {
    return PHASES[this.#phase[event] ?? 0] ?? "warm-up";
  }

  #arrive(event: number, delivery: number, group: number, at: number): void {
    const latencyMs = Math.max(at - (this.#sentAt[event] ?? 0), 0.001);
    this.#latencyMs[delivery] = latencyMs;
    this.onFirstArrival(group, latencyMs);
  }

  #deliver(event: number, delivery: number, group: number, webhookNumber: number): void {
    const { findings } = this;
    const before = this.#successes[delivery] ?? 0;
    this.#successes[delivery] = Math.min(before + 1, 255);
    if (before > 0) {
      findings.duplicated += 1;
      return;
    }
    const webhook = this.#webhooks[webhookNumber];
    if (webhook === undefined) return;
    if (this.#state[event] === ACCEPTED) countDelivered(this.#group(group), webhook.isHealthy);
    // Out of order is what comes after something that was posted only when this had been answered.
    if ((this.#answeredAt[event] ?? 0) < webhook.latestSentAt) {
      findings.outOfOrder += 1;
      if (webhook.isHealthy) findings.outOfOrderHealthy += 1;
    }
    webhook.latestSentAt = Math.max(webhook.latestSentAt, this.#sentAt[event] ?? 0);
  }

  #forEachDelivery(event: number, each: (delivery: number, webhook: Webhook, webhookNumber: number) => void): void {
    const { firstWebhook, webhooks } = this.#accountOf(this.#account[event] ?? 0);
    const first = this.#firstDelivery[event] ?? 0;
    for (let ordinal = 0; ordinal < webhooks; ordinal += 1) {
      const webhook = this.#webhooks[firstWebhook + ordinal];
      if (webhook !== undefined) each(first + ordinal, webhook, firstWebhook + ordinal);
    }
  }

  #meetId(event: number, idTail: number): void {
    const known = this.#idTail[event];
    if (known === 0) this.#idTail[event] = idTail;
    else if (known !== idTail) this.findings.changedIds += 1;
  }

  #accountOf(account: number): Account {
    const found = this.#accounts[account];
    if (found === undefined) throw new Error(`there is no account ${account}`);
    return found;
  }

  #group(group: number): GroupTally {
    const found = this.groups[group];
    if (found === undefined) throw new Error(`there is no group ${group}`);
    return found;
  }
}

function countDelivered(tally: GroupTally, isHealthy: boolean): void {
  tally.delivered += 1;
  if (isHealthy) tally.deliveredHealthy += 1;
}
