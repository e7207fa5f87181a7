// Where messages from the stream arrive: what is held already, what may be sent unchecked, and what must be compared
// with its row first. Whatever passes goes into the mailbox of its endpoint's actor.

import { Cell } from "../actor/cell.ts";
import { Registry } from "../actor/registry.ts";
import type { Message } from "../domain/delivery.ts";
import type { UserId, WebhookId } from "../domain/ids.ts";
import { ACTOR_IDLE_MS, UNCHECKED_AGE_MS } from "../domain/limits.ts";
import { laneDepth, waitsTooLong } from "../domain/lane-depth.ts";
import type { Partition } from "../domain/partition.ts";
import type { Priority } from "../domain/priority.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Observe } from "../observe/catalogue.ts";
import { describeError } from "../observe/log.ts";
import type { Attempts } from "./attempt.ts";
import { longestTails, MEASURES } from "./hand-back.ts";
import type { HeldMessages } from "./held.ts";
import type { DeliveryLog, DeliveryState, Endpoints, Held, StreamHandle, Tenure } from "./ports.ts";
import type { Turn } from "./settle.ts";

/** Which endpoint an actor is for. */
export type EndpointKey = { webhookId: WebhookId; userId: UserId; partition: Partition };
export type EndpointActor = Cell<EndpointKey, Priority, Held>;

export type IntakeOptions = {
  clock: Clock;
  observe: Observe;
  held: HeldMessages;
  log: DeliveryLog;
  endpoints: Endpoints;
  attempts: Attempts;
  /** The actor has messages and could handle one. */
  onReady: (actor: EndpointActor) => void;
  /** More of this lane has come than should wait here: what follows belongs in the table. */
  onLaneFull: (lane: { webhookId: WebhookId; priority: Priority }) => void;
};

/** A message whose row cannot be read just now, or whose actor crashed, comes again after this. */
const TROUBLE_PAUSE_MS = 2_000;

/** Too much in hand for so long is handed back: what fast endpoints will have worked off in a moment need not go. */
const HAND_BACK_AFTER_MS = 50;

/** What is handed back is reported together: there can be twenty rounds a second. */
const HAND_BACK_REPORT_MS = 1_000;

export class Intake {
  readonly actors: Registry<WebhookId, EndpointKey, Priority, Held>;
  readonly #options: IntakeOptions;
  /** Of partitions that are being given back. */
  readonly #parked = new Map<Partition, Held[]>();
  /** Runs while there is too much. */
  #tooMuch: Timer | undefined;
  /** Not reported yet, by reason. */
  readonly #handedBack = new Map<string, number>();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.actors = new Registry({ clock: options.clock, idleMs: ACTOR_IDLE_MS });
  }

  receive(message: Message, handle: StreamHandle, tenure: Tenure): void {
    const { held: all, clock } = this.#options;
    if (!tenure.isCurrent()) return;
    const known = all.find(message.deliveryId);
    if (known !== undefined) {
      // The same message again: the server thinks that it was lost. From now on the newer handle answers for it.
      if (known.handle.seq === handle.seq) known.handle = handle;
      // Of two messages of one generation the one in hand answers for both.
      else if (known.message.generation === message.generation) handle.ack();
      else handle.nak(TROUBLE_PAUSE_MS);
      return;
    }
    const held = all.add(message, handle, tenure);
    if (maySendUnchecked(held, clock.now())) this.#enqueue(held);
    else this.#check(held);
  }

  /** How many messages of a lane should wait for its endpoint here, and how many do. Retries that are not due are elsewhere. */
  laneOf(webhookId: WebhookId, priority: Priority): { depth: number; waiting: number } {
    const actor = this.actors.find(webhookId);
    const depth = laneDepth(actor, this.#options.endpoints.maxInFlight(webhookId));
    return { depth, waiting: actor?.mailbox.sizeOf(priority) ?? 0 };
  }

  /** Whether so much of a lane waits for a slow endpoint that one more would be handed back. */
  isCrowded(webhookId: WebhookId, priority: Priority): boolean {
    const actor = this.actors.find(webhookId);
    return actor !== undefined && this.#isCrowded(actor, priority);
  }

  /** Begins to give a partition back: what waits, and what still comes, is set aside. What is in flight ends by itself. */
  park(partition: Partition): void {
    this.#parked.set(partition, this.#emptyMailboxes(partition));
  }

  /** Once nothing comes any more: gives back by nak what was set aside. */
  giveBack(partition: Partition): void {
    const parked = this.#parked.get(partition) ?? [];
    this.#parked.delete(partition);
    for (const held of parked) this.#options.attempts.end(held, { kind: "postponed", delayMs: 0 });
  }

  /** Drops what waits of a partition that is not ours any more; nothing of it is answered for. */
  forget(partition: Partition): void {
    for (const held of this.#emptyMailboxes(partition)) this.#options.held.remove(held);
  }

  #emptyMailboxes(partition: Partition): Held[] {
    return [...this.actors.cells()]
      .filter((actor) => actor.key.partition === partition)
      .flatMap((actor) => actor.mailbox.drain());
  }

  #check(held: Held): void {
    const { log, attempts, clock } = this.#options;
    log.check(held.message.deliveryId).then(
      (state) => {
        if (state !== undefined) held.pendingFrom = clock.monotonic() - state.pendingForMs;
        const turn = compareWithRow(held, state);
        if (turn === undefined) this.#enqueue(held);
        else attempts.end(held, turn);
      },
      () => attempts.end(held, { kind: "postponed", delayMs: TROUBLE_PAUSE_MS }),
    );
  }

  #enqueue(held: Held): void {
    const { webhookId, priority, partition } = held.message;
    if (held.tenure.isDraining) {
      const parked = this.#parked.get(partition);
      if (parked === undefined) this.#options.attempts.end(held, { kind: "postponed", delayMs: 0 });
      else parked.push(held);
      return;
    }
    const actor = this.actors.ensure(webhookId, () => this.#createActor(held.message));
    if (this.#isCrowded(actor, priority)) {
      this.#options.onLaneFull({ webhookId, priority });
      this.#handBackOne(held, "its endpoint is slow");
      return;
    }
    actor.tell(priority, held);
    this.#noticeTooMuch();
  }

  #isCrowded(actor: EndpointActor, priority: Priority): boolean {
    const maxInFlight = this.#options.endpoints.maxInFlight(actor.key.webhookId);
    return waitsTooLong(actor.mailbox.sizeOf(priority), actor, maxInFlight);
  }

  #createActor({ webhookId, userId, partition }: Message): EndpointActor {
    const { clock, observe, endpoints, attempts, onReady } = this.#options;
    return new Cell({
      key: { webhookId, userId, partition },
      clock,
      create: () => ({
        concurrency: () => endpoints.maxInFlight(webhookId),
        handle: (held: Held) => attempts.take(held),
      }),
      onReady,
      onCrash: (_, held, error) => {
        observe("actor.crashed", { webhook_id: webhookId, error: describeError(error) });
        attempts.end(held, { kind: "postponed", delayMs: TROUBLE_PAUSE_MS });
      },
    });
  }

  #noticeTooMuch(): void {
    const { held: all, clock } = this.#options;
    if (MEASURES.some((measure) => all.excess(measure) > 0)) {
      this.#tooMuch ??= clock.after(HAND_BACK_AFTER_MS, () => {
        this.#tooMuch = undefined;
        this.#handBack();
      });
      return;
    }
    this.#tooMuch?.cancel();
    this.#tooMuch = undefined;
  }

  /** The users who have most waiting give the tails of their mailboxes back to the table. */
  #handBack(): void {
    const { held: all } = this.#options;
    for (const measure of MEASURES) {
      if (all.excess(measure) === 0) continue;
      for (const tail of longestTails(all, measure, this.actors.cells())) this.#handBackOne(tail, "too much in hand");
    }
  }

  #handBackOne(held: Held, reason: string): void {
    const { attempts, observe, clock } = this.#options;
    attempts.end(held, { kind: "handed_back" });
    const before = this.#handedBack.get(reason) ?? 0;
    this.#handedBack.set(reason, before + 1);
    if (before > 0) return;
    clock.after(HAND_BACK_REPORT_MS, () => {
      observe("deliveries.handed_back", { deliveries: this.#handedBack.get(reason) ?? 0, reason });
      this.#handedBack.delete(reason);
    });
  }
}

/**
 * Who may be sent unchecked: the first delivery of a message that the API published, young, and published during this
 * tenure and this connection. Nothing else is sure to be the row's present state.
 */
export function maySendUnchecked({ message, handle, tenure }: Held, nowMs: number): boolean {
  return (
    handle.deliveryCount === 1 &&
    message.origin === "accept" &&
    message.generation === 0 &&
    nowMs - Math.min(message.pendingSince, handle.storedAt) < UNCHECKED_AGE_MS &&
    handle.seq > tenure.publishedAfterSeq
  );
}

/** What a message's row says of it; undefined: its turn may come, with the row's figures. */
function compareWithRow(held: Held, state: DeliveryState | undefined): Turn | undefined {
  if (state?.status !== "pending" || state.generation !== held.message.generation) return { kind: "obsolete" };
  const { attemptCount, scheduleBase, pendingSince, dueInMs } = state;
  // Before the first attempt `due_at` is only the grace for the API's own publish.
  if (dueInMs > 0 && attemptCount > scheduleBase) return { kind: "postponed", delayMs: dueInMs };
  held.message = { ...held.message, attemptCount, scheduleBase, pendingSince };
  return undefined;
}
