// A delivery as a JetStream message: a few readable headers, so that `nats stream get` explains itself, and the payload
// as body. The headers are written and read here, in one piece: the client takes as long over each as over the rest of a
// message.
//
//   Nats-Msg-Id: <delivery id>:<generation>
//   Fairpost-Event: <event id>
//   Fairpost-Event-Type: subscriber.created
//   Fairpost-State: accept; attempts 0; earlier 0; since 2026-01-01T00:00:00.000Z

import { MsgHdrsImpl, type MsgHdrs } from "@nats-io/transport-node";
import type { Message } from "../domain/delivery.ts";
import type { DeliveryId, EventId } from "../domain/ids.ts";
import { parseSubject } from "./subjects.ts";

/** JetStream swallows a second message under an id that it saw within the duplicate window, even after the ack. */
const MESSAGE_ID = "Nats-Msg-Id";
const EVENT = "Fairpost-Event";
const EVENT_TYPE = "Fairpost-Event-Type";
const STATE = "Fairpost-State";

const ID_FORM = "([0-9a-f-]{36}):(\\d{1,10})";
/** In the order in which they are written. */
const LINES = [
  [MESSAGE_ID, ID_FORM],
  [EVENT, "(\\S+)"],
  [EVENT_TYPE, "(\\S+)"],
  [STATE, "(accept|refill); attempts (\\d{1,10}); earlier (\\d{1,10}); since (\\S+)"],
].map(([name, form]) => ({ name, text: `${name}: ${form}\r\n` }));

const messageIdForm = new RegExp(`^${ID_FORM}$`);
const blockForm = new RegExp(`\r\n${LINES.map(({ text }) => text).join("")}`);

/** Headers that are text already: when a message is published, its headers are asked for their bytes and nothing else. */
class HeaderBlock extends MsgHdrsImpl {
  readonly #bytes: Uint8Array;

  constructor(text: string) {
    super();
    this.#bytes = Buffer.from(text);
  }

  override encode(): Uint8Array {
    return this.#bytes;
  }
}

/** For publishing only. */
export function headersOf(message: Message): MsgHdrsImpl {
  const since = new Date(message.pendingSince).toISOString();
  return new HeaderBlock(
    `NATS/1.0\r\n${MESSAGE_ID}: ${message.deliveryId}:${message.generation}\r\n` +
      `${EVENT}: ${message.eventId}\r\n${EVENT_TYPE}: ${message.eventType}\r\n` +
      `${STATE}: ${message.origin}; attempts ${message.attemptCount}; earlier ${message.scheduleBase}; since ${since}` +
      "\r\n\r\n",
  );
}

/** Which delivery a message carries; undefined for one that is not ours. */
export function deliveryOf(read: MsgHdrs | undefined): DeliveryId | undefined {
  return messageIdForm.exec(read?.get(MESSAGE_ID) ?? "")?.[1] as DeliveryId | undefined;
}

/** `block`: the message's headers as they came. Throws an Error that names what is wrong: somebody else published to our subjects. */
export function parseMessage(subject: string, block: string, payload: string): Message {
  const route = parseSubject(subject);
  if (route === undefined) {
    throw new Error("the subject is not of the form webhooks.<priority>.<partition>.<user>.<webhook>");
  }
  const [, deliveryId, generation, eventId, eventType, origin, attemptCount, scheduleBase, since] =
    blockForm.exec(block) ?? [];
  const pendingSince = Date.parse(since ?? "");
  if (deliveryId === undefined || eventType === undefined || Number.isNaN(pendingSince)) {
    throw new Error(`the header ${faultyIn(block)} is missing, not of its form, or not in its place`);
  }
  return {
    userId: route.userId,
    webhookId: route.webhookId,
    partition: route.partition,
    priority: route.priority,
    deliveryId: deliveryId as DeliveryId,
    eventId: eventId as EventId,
    eventType,
    generation: Number(generation),
    attemptCount: Number(attemptCount),
    scheduleBase: Number(scheduleBase),
    pendingSince,
    origin: origin === "accept" ? "accept" : "refill",
    payload,
  };
}

function faultyIn(block: string): string {
  return LINES.find(({ text }) => !new RegExp(`\r\n${text}`).test(block))?.name ?? STATE;
}
