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

const messageIdForm = /^([0-9a-f-]{36}):(\d{1,10})$/;
const stateForm = /^(accept|refill); attempts (\d{1,10}); earlier (\d{1,10}); since (\S+)$/;

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
  const [, deliveryId, generation] = messageIdForm.exec(headerIn(block, MESSAGE_ID)) ?? [];
  const [, origin, attemptCount, scheduleBase, since] = stateForm.exec(headerIn(block, STATE)) ?? [];
  const eventId = headerIn(block, EVENT);
  const eventType = headerIn(block, EVENT_TYPE);
  if (deliveryId === undefined) throw new Error(`the header ${MESSAGE_ID} is not <delivery>:<generation>`);
  const pendingSince = Date.parse(since ?? "");
  if (Number.isNaN(pendingSince)) throw new Error(`the header ${STATE} is missing or not of its form`);
  if (eventId === "" || eventType === "") throw new Error(`the header ${EVENT} or ${EVENT_TYPE} is missing`);
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

function headerIn(block: string, name: string): string {
  const at = block.indexOf(`\r\n${name}: `);
  if (at === -1) return "";
  const from = at + name.length + 4;
  return block.slice(from, block.indexOf("\r\n", from));
}
