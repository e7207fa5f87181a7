// What processes tell each other over core NATS, unstored: a hint that is lost costs a little time, never a delivery.

import type { NatsConnection } from "@nats-io/transport-node";
import { isUuid, type WebhookId } from "../domain/ids.ts";
import type { NatsLink } from "./connection.ts";
import { METRICS_REQUEST, WEBHOOK_CHANGED } from "./subjects.ts";

const COLLECT_MS = 250;
const ANSWERS_MAX = 256;

export class Bus {
  readonly #link: NatsLink;
  /** Changed while nobody could be told. */
  readonly #unannounced = new Set<WebhookId>();

  constructor(link: NatsLink) {
    this.#link = link;
    link.listen({
      connected: () => {
        for (const webhookId of this.#unannounced) this.announceWebhookChanged(webhookId);
      },
      disconnected: () => {},
    });
  }

  announceWebhookChanged(webhookId: WebhookId): void {
    const connection = this.#link.connection;
    if (connection === undefined) {
      this.#unannounced.add(webhookId);
      return;
    }
    this.#unannounced.delete(webhookId);
    connection.publish(WEBHOOK_CHANGED, webhookId);
  }

  onWebhookChanged(hear: (webhookId: WebhookId) => void): void {
    this.#onEveryConnection((connection) => {
      connection.subscribe(WEBHOOK_CHANGED, {
        callback(error, message) {
          if (error === null && isUuid(message.string())) hear(message.string() as WebhookId);
        },
      });
    });
  }

  /** Answers whoever collects metrics. */
  answerMetrics(answer: () => unknown): void {
    this.#onEveryConnection((connection) => {
      connection.subscribe(METRICS_REQUEST, {
        callback(error, message) {
          if (error === null) message.respond(JSON.stringify(answer()));
        },
      });
    });
  }

  /** What every worker answers within a quarter of a second; unreadable answers are left out. */
  async collectMetrics(): Promise<unknown[]> {
    const connection = this.#link.connection;
    if (connection === undefined) return [];
    const answers: unknown[] = [];
    try {
      const replies = await connection.requestMany(METRICS_REQUEST, "", {
        strategy: "stall",
        maxWait: COLLECT_MS,
        maxMessages: ANSWERS_MAX,
      });
      for await (const reply of replies) {
        try {
          answers.push(reply.json());
        } catch {
          continue;
        }
      }
    } catch {
      // Nobody there.
    }
    return answers;
  }

  /** Subscriptions survive reconnections; only another connection needs new ones. */
  #onEveryConnection(subscribe: (connection: NatsConnection) => void): void {
    let subscribed: NatsConnection | undefined;
    this.#link.listen({
      connected: () => {
        const connection = this.#link.connection;
        if (connection === undefined || connection === subscribed) return;
        subscribed = connection;
        subscribe(connection);
      },
      disconnected: () => {},
    });
  }
}
