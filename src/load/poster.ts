// Posts events, reads, and keeps the books on what was posted: each is noted before it is sent, and again when the API has answered.

import { type Clock, sleep } from "../lib/clock.ts";
import type { ApiClient } from "./api-client.ts";
import { acceptedInBatch } from "./batch-answer.ts";
import type { Ledger } from "./ledger.ts";
import { idTailOf } from "./receiver/receiver.ts";
import { wallTimeMs } from "./wall-time.ts";

export type Sender = { account: number; authorization: string };

export type PosterOptions = {
  api: ApiClient;
  ledger: Ledger;
  clock: Clock;
  /** Makes the e-mails of this run its own. */
  runId: string;
};

/** Whoever reads and is refused does not ask again at once. */
const REFUSED_PAUSE_MS = 100;

/** What is posted to find out whether batches are taken. */
const EMPTY_BATCH = '{"subscribers":[]}';

export class Poster {
  readonly #options: PosterOptions;
  /** Requests by the status of their answer, or what happened instead. */
  readonly answers = new Map<string, number>();
  inFlight = 0;
  requests = 0;

  constructor(options: PosterOptions) {
    this.#options = options;
  }

  emailOf(event: number): string {
    return `load-${this.#options.runId}-${event}@example.com`;
  }

  async takesBatches({ authorization }: Sender): Promise<boolean> {
    const { status } = await this.#options.api.post("/subscribers/batch", authorization, EMPTY_BATCH);
    return status !== 404 && status !== 405;
  }

  async postSubscriber(sender: Sender): Promise<void> {
    const event = this.#note(sender);
    await this.#post("/subscribers", sender, this.#subscriber(event), [event], ({ status }) => {
      if (status === 201) this.#accept(event);
      else this.#options.ledger.refuse(event);
    });
  }

  async postEvent(sender: Sender): Promise<void> {
    const event = this.#note(sender);
    const body = `{"type":"load.generated","data":{"load":${event}}}`;
    await this.#post("/events", sender, body, [event], ({ status, text }) => {
      if (status !== 202) return this.#options.ledger.refuse(event);
      return this.#accept(event, idTailOf((JSON.parse(text) as { id: string }).id));
    });
  }

  async postBatch(sender: Sender, size: number): Promise<void> {
    const events = Array.from({ length: size }, () => this.#note(sender));
    const body = `{"subscribers":[${events.map((event) => this.#subscriber(event)).join(",")}]}`;
    await this.#post("/subscribers/batch", sender, body, events, ({ status, text }) => {
      const areAccepted = acceptedInBatch(status, text, size);
      for (const [index, event] of events.entries()) {
        if (areAccepted[index] === true) this.#accept(event);
        else this.#options.ledger.refuse(event);
      }
    });
  }

  /** A page of a thousand. */
  async listSubscribers({ authorization }: Sender): Promise<void> {
    const { api, clock } = this.#options;
    this.requests += 1;
    const outcome = await api.get("/subscribers?limit=1000", authorization).then(
      ({ status }) => String(status),
      () => "no answer",
    );
    this.#count(`GET ${outcome}`, 1);
    if (outcome !== "200") await sleep(clock, REFUSED_PAUSE_MS);
  }

  async #post(
    path: string,
    { authorization }: Sender,
    body: string,
    events: readonly number[],
    judge: (answer: { status: number; text: string }) => void,
  ): Promise<void> {
    this.inFlight += 1;
    this.requests += 1;
    let outcome = "no answer";
    try {
      const answer = await this.#options.api.post(path, authorization, body);
      outcome = String(answer.status);
      judge(answer);
    } catch (error) {
      // Unanswered: the books leave open whether they were accepted.
      if (outcome !== "no answer") throw error;
      outcome = `no answer (${(error as { code?: string }).code ?? "unknown"})`;
    } finally {
      this.inFlight -= 1;
      this.#count(outcome, events.length);
    }
  }

  #count(outcome: string, answers: number): void {
    this.answers.set(outcome, (this.answers.get(outcome) ?? 0) + answers);
  }

  #note({ account }: Sender): number {
    return this.#options.ledger.post(account, wallTimeMs(this.#options.clock));
  }

  #accept(event: number, idTail?: number): void {
    this.#options.ledger.accept(event, wallTimeMs(this.#options.clock), idTail);
  }

  #subscriber(event: number): string {
    return `{"email":"${this.emailOf(event)}","custom_fields":{"load":${event}}}`;
  }
}
