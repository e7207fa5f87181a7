// What the delivery side needs of others, in its own words. app.ts hands the implementations in.

import type { Message } from "../domain/delivery.ts";
import type { DeliveryId, UserId, WebhookId } from "../domain/ids.ts";
import type { Outcome } from "../domain/outcome.ts";
import type { Partition } from "../domain/partition.ts";
import type { TurnResult } from "../domain/turn-result.ts";

/** The time during which this worker owns a partition. */
export type Tenure = {
  readonly partition: Partition;
  /** Of the stream that the tenure pulls from. */
  readonly epoch: number;
  /** Messages above this sequence were published during this tenure and this connection; Infinity until it is known. */
  readonly publishedAfterSeq: number;
  /** Being given back: nothing new begins. */
  readonly isDraining: boolean;
  /** Still ours: what we hold may be answered for. */
  isCurrent(): boolean;
  /** Ours for long enough that a request of `timeoutMs` ends before anybody else could start one. */
  mayStartRequest(timeoutMs: number): boolean;
};

/** How a message is answered for in the stream. Fire and forget. */
export type StreamHandle = {
  readonly seq: number;
  readonly deliveryCount: number;
  /** Milliseconds since the epoch, by the server's clock. */
  readonly storedAt: number;
  ack(): void;
  nak(delayMs: number): void;
  working(): void;
};

/** An endpoint by what it is: another URL of the same webhook is another one. */
export type Target = Pick<Endpoint, "webhookId" | "url">;

export type Endpoint = {
  webhookId: WebhookId;
  userId: UserId;
  url: string;
  headers: Readonly<Record<string, string>>;
  maxInFlight: number;
  isActive: boolean;
  /** Live signing secrets in plain, newest first. */
  secrets: readonly string[];
  /** Why its secrets cannot be read, so that nothing can be sent; null: they can. */
  unreadable: string | null;
  /** Milliseconds since the epoch; null: nothing is to be cancelled. */
  cancelBefore: number | null;
};

/** Webhooks' settings, remembered. */
export interface Endpoints {
  /** From memory: at once; else read together with others. Undefined when there is no such webhook. */
  find(webhookId: WebhookId): Endpoint | undefined | Promise<Endpoint | undefined>;
  /** From the tables, whatever is in memory: before something is ended for good because of it. */
  reload(webhookId: WebhookId): Promise<Endpoint | undefined>;
  /** How many requests the endpoint takes at once, as last read: 1 until its settings have been. Asked all the time. */
  maxInFlight(webhookId: WebhookId): number;
  /** No further request to its URL starts here. */
  shut(endpoint: Endpoint): void;
  /**
   * Disables the webhook, cancels what waits for it, and tells its owner by an event: unless it has been given another
   * URL, of which nothing is known yet.
   */
  disable(endpoint: Endpoint, reason: string): void;
}

export type SendRequest = {
  url: string;
  headers: Readonly<Record<string, string>>;
  secrets: readonly string[];
  eventId: string;
  userId: string;
  payload: string;
  timeoutMs: number;
  /** The deadline rule, asked with nothing between it and the request. */
  mayStart: () => boolean;
};

export interface Sender {
  /** Never rejects for anything that a receiver does; undefined when `mayStart` withheld the request. */
  send(request: SendRequest): Promise<Outcome | undefined>;
}

export type DeliveryState = {
  status: string;
  generation: number;
  attemptCount: number;
  scheduleBase: number;
  pendingSince: number;
  pendingForMs: number;
  dueInMs: number;
};

/** The deliveries' rows, read and written in batches. */
export interface DeliveryLog {
  /**
   * Resolves once the result is committed, however long that takes, with undefined; or with an error, once it is clear
   * that it can never be. An attempt counts whatever becomes of `tenure`; what was decided without one is the owner's to
   * decide, and is dropped when the tenure ends before it is written.
   */
  record(result: TurnResult, tenure: Pick<Tenure, "isCurrent">): Promise<unknown>;
  /** False while so many results wait that no further request may start. */
  hasRoom(): boolean;
  /** The present state of a delivery; undefined when it has no row. */
  check(deliveryId: DeliveryId): Promise<DeliveryState | undefined>;
}

/** `waiting`: for a check of its row or for its turn. `ended`: its turn is over, and what came of it is being recorded. */
export type Stage = "waiting" | "in_flight" | "ended";

/** A message in this worker's hands: from its arrival until it is answered for. HeldMessages alone moves it on. */
export type Held = {
  message: Message;
  handle: StreamHandle;
  readonly tenure: Tenure;
  /** `gone`: not in hand any more; it may come again, as another one of these. */
  stage: Stage | "gone";
  bytes: number;
  /** Since when it has been pending, monotonic milliseconds; undefined where its row was not asked, for then it is young. */
  pendingFrom?: number;
  /** When the server is to hear again that it is being worked on, monotonic milliseconds. */
  reportAt: number;
};
