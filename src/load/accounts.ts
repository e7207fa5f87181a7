// The accounts of a run: signed up, signed in, and their webhooks registered at our receiver, all through the API.

import { sleep, systemClock } from "../lib/clock.ts";
import type { ApiClient } from "./api-client.ts";
import type { Ledger } from "./ledger.ts";
import { BATCH_MAX } from "./options.ts";
import { asFastAsTaken } from "./pacing.ts";
import type { Sender } from "./poster.ts";
import { type Behaviour, isHealthy, pathOf } from "./receiver/behaviour.ts";
import { secretOf } from "./receiver/secrets.ts";
import type { Group } from "./scenarios.ts";
import type { StopSignal } from "./stop-signal.ts";

/** Sign-ups cost Fairpost a password hash each, two at a time. */
const SIGN_UPS_AT_ONCE = 4;
const WEBHOOKS_AT_ONCE = 16;

export type AccountsOptions = {
  api: ApiClient;
  ledger: Ledger;
  runId: string;
  receiverPort: number;
  /** Nobody listens there. */
  refusingPort: number;
  stop: StopSignal;
};

export class Accounts {
  readonly #options: AccountsOptions;
  readonly #authorizations: string[] = [];
  #signedUp = 0;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  /** The group's senders. */
  async create(group: number, { name, users, webhooksPerUser, behaviourOf, reads }: Group): Promise<Sender[]> {
    const { ledger, stop } = this.#options;
    const senders: Sender[] = [];
    await asFastAsTaken({ count: users, hands: SIGN_UPS_AT_ONCE, stop }, async (nth) => {
      const authorization = await this.#signUp(name);
      // Before there are webhooks, so that nothing of it is delivered.
      await this.#fillList(authorization, reads?.subscribers ?? 0);
      const behaviours = Array.from({ length: webhooksPerUser }, (_, index) =>
        behaviourOf(nth * webhooksPerUser + index),
      );
      const { account, firstWebhook } = ledger.addAccount(group, behaviours.map(isHealthy));
      await this.#register(authorization, firstWebhook, behaviours);
      senders.push({ account, authorization });
    });
    return senders;
  }

  /** Deletes them all, which cancels what is still pending. Those that cannot be deleted now stay. */
  async remove(): Promise<void> {
    for (const authorization of this.#authorizations.splice(0)) {
      await this.#options.api.deleteAccount(authorization).catch(() => sleep(systemClock, 100));
    }
  }

  async #signUp(group: string): Promise<string> {
    const { api, runId } = this.#options;
    this.#signedUp += 1;
    const email = `load-${runId}-${group}-${this.#signedUp}@example.com`;
    const authorization = await api.signUp(email, Bun.randomUUIDv7());
    this.#authorizations.push(authorization);
    return authorization;
  }

  async #fillList(authorization: string, count: number): Promise<void> {
    const { api, runId, stop } = this.#options;
    for (let begin = 0; begin < count && !stop.isStopped; begin += BATCH_MAX) {
      const subscribers = Array.from({ length: Math.min(BATCH_MAX, count - begin) }, (_, nth) => ({
        email: `listed-${runId}-${begin + nth}@example.com`,
        first_name: "Ada",
        last_name: "Lovelace",
        tags: ["newsletter"],
      }));
      const { status, text } = await api.post("/subscribers/batch", authorization, JSON.stringify({ subscribers }));
      if (status >= 300) throw new Error(`POST /subscribers/batch: ${status} ${text.slice(0, 300)}`);
    }
  }

  async #register(authorization: string, firstWebhook: number, behaviours: readonly Behaviour[]): Promise<void> {
    const { api, runId, receiverPort, refusingPort, stop } = this.#options;
    await asFastAsTaken({ count: behaviours.length, hands: WEBHOOKS_AT_ONCE, stop }, async (nth) => {
      const behaviour = behaviours[nth];
      if (behaviour === undefined) return;
      const webhook = firstWebhook + nth;
      const port = behaviour.kind === "refuse" ? refusingPort : receiverPort;
      await api.createWebhook(authorization, {
        url: `http://127.0.0.1:${port}${pathOf({ behaviour, webhook })}`,
        events: ["*"],
        secret: secretOf(runId, webhook),
      });
    });
  }
}
