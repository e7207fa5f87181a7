// Load through the HTTP API, and the ledger of what was accepted: only an answer that was seen counts, 201 or 202.

import { sleep, systemClock } from "../../src/lib/clock.ts";
import { newId, type WebhookId } from "../../src/domain/ids.ts";
import { partitionOf, type Partition } from "../../src/domain/partition.ts";
import type { RecordingReceiver } from "./receiver.ts";

export type Target = { path: string; partition: Partition; type: string; account: Account };
type Account = { token: string };

/** `<path> <event or subscriber id>` of every delivery that was promised. */
export type Ledger = Set<string>;

const PASSWORD = "a password of a user";
const OUTSTANDING_MAX = 200;
const TICK_MS = 20;
/** One in so many requests creates a subscriber, and then changes it; the others publish an event. */
const SUBSCRIBER_EVERY = 10;

export type LoadOptions = {
  apiUrl: string;
  receiver: RecordingReceiver;
  accounts: number;
  /** Of each account; two more are told of subscribers: one of new ones, one of changes. */
  webhooks: number;
  /** What all of them ask for; each its own type unless given. */
  type?: string;
  latencyMs: (index: number) => number;
  /** One of so many requests is answered 500; 0: none. */
  failEvery: number;
};

export class Load {
  readonly accepted: Ledger = new Set();
  readonly targets: Target[] = [];
  /** Answers by status; 0: none. */
  readonly answers = new Map<number, { count: number; slowestMs: number }>();
  readonly #options: LoadOptions;
  readonly #subscriberTargets = new Map<Account, { created: Target; updated: Target }>();
  #isRunning = false;
  #running: Promise<void> | undefined;
  #outstanding = 0;
  #count = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async prepare(): Promise<void> {
    const { accounts, webhooks, type } = this.#options;
    for (let index = 0; index < accounts; index += 1) {
      const account = await this.#signUp();
      for (let at = 0; at < webhooks; at += 1) {
        this.targets.push(await this.#register(account, index * webhooks + at, type ?? `load.w${at}`));
      }
      this.#subscriberTargets.set(account, {
        created: await this.#register(account, 0, "subscriber.created"),
        updated: await this.#register(account, 0, "subscriber.updated"),
      });
    }
  }

  /** `perSecond` requests, spread evenly over the targets, until stop(). */
  start(perSecond: number): void {
    this.#isRunning = true;
    this.#running = this.#run(perSecond);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#running;
    while (this.#outstanding > 0) await sleep(systemClock, TICK_MS);
  }

  /** One event of a target's; whether it was accepted. */
  async publish(target: Target): Promise<boolean> {
    const answer = await this.#call(target.account, "/events", { type: target.type, data: { n: this.#count } });
    if (answer?.status !== 202) return false;
    this.accepted.add(`${target.path} ${answer.json.id}`);
    return true;
  }

  async #run(perSecond: number): Promise<void> {
    const startedAt = systemClock.monotonic();
    let sent = 0;
    while (this.#isRunning) {
      const due = ((systemClock.monotonic() - startedAt) * perSecond) / 1_000;
      for (; sent < due; sent += 1) {
        if (this.#outstanding >= OUTSTANDING_MAX) continue;
        this.#outstanding += 1;
        this.#one()
          .finally(() => (this.#outstanding -= 1))
          .catch(() => {});
      }
      await sleep(systemClock, TICK_MS);
    }
  }

  async #one(): Promise<void> {
    this.#count += 1;
    const target = this.targets[this.#count % this.targets.length] as Target;
    if (this.#count % SUBSCRIBER_EVERY !== 0) {
      await this.publish(target);
      return;
    }
    const answer = await this.#call(target.account, "/subscribers", { email: `${newId()}@example.com` });
    if (answer?.status !== 201) return;
    const { id } = answer.json;
    const told = this.#subscriberTargets.get(target.account);
    this.accepted.add(`${told?.created.path} ${id}`);
    const changed = await this.#call(target.account, `/subscribers/${id}`, { first_name: "Ada" }, "PATCH");
    if (changed?.status === 200) this.accepted.add(`${told?.updated.path} ${id}`);
  }

  async #call(
    account: Account,
    path: string,
    body: unknown,
    method: "POST" | "PATCH" = "POST",
    // oxlint-disable-next-line typescript/no-explicit-any -- answers are looked into, not typed
  ): Promise<{ status: number; json: any } | undefined> {
    const startedAt = systemClock.monotonic();
    let status = 0;
    try {
      const answer = await fetch(`${this.#options.apiUrl}/api/v1${path}`, {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${account.token}` },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      });
      const json = await answer.json();
      status = answer.status;
      return { status, json };
    } catch {
      return undefined;
    } finally {
      const answers = this.answers.get(status) ?? { count: 0, slowestMs: 0 };
      answers.count += 1;
      answers.slowestMs = Math.max(answers.slowestMs, Math.round(systemClock.monotonic() - startedAt));
      this.answers.set(status, answers);
    }
  }

  async #signUp(): Promise<Account> {
    const email = `${newId()}@example.com`;
    await fetch(`${this.#options.apiUrl}/api/v1/users/`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    const answer = await fetch(`${this.#options.apiUrl}/api/v1/login/access-token`, {
      method: "POST",
      body: new URLSearchParams({ username: email, password: PASSWORD }),
    });
    return { token: ((await answer.json()) as { access_token: string }).access_token };
  }

  async #register(account: Account, index: number, type: string): Promise<Target> {
    const { receiver, latencyMs, failEvery } = this.#options;
    const path = `/${latencyMs(index)}/${failEvery}/${newId()}`;
    const answer = await this.#call(account, "/webhooks", { url: receiver.url + path, events: [type] });
    if (answer?.status !== 201) throw new Error(`a webhook was not taken: ${JSON.stringify(answer)}`);
    await receiver.expectSignedBy(path, answer.json.secret);
    return { path, partition: partitionOf(answer.json.id as WebhookId), type, account };
  }
}
