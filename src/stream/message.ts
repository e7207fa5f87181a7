// A delivery as a JetStream message: a few readable headers, so that `nats stream get` explains itself, and the payload
// as body. Few, because the client spends as long on every header as on the rest of a message.
//
//   Nats-Msg-Id: <delivery id>:<generation>
//   Fairpost-Event: <event id>
//   Fairpost-Event-Type: subscriber.created
//   Fairpost-State: accept; attempts 0; earlier 0; since 2026-01-01T00:00:00.000Z

import { headers, type MsgHdrs } from "@nats-io/transport-node";
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

export function headersOf(message: Message): MsgHdrs {
  const written = headers();
  const since = new Date(message.pendingSince).toISOString();
  written.set(MESSAGE_ID, `${message.deliveryId}:${message.generation}`);
  written.set(EVENT, message.eventId);
  written.set(EVENT_TYPE, message.eventType);
  written.set(
    STATE,
    `${message.origin}; attempts ${message.attemptCount}; earlier ${message.scheduleBase}; since ${since}`,
  );
  return written;
}

/** Which delivery a message carries; undefined for one that is not ours. */
export function deliveryOf(read: MsgHdrs | undefined): DeliveryId | undefined {
  return messageIdForm.exec(read?.get(MESSAGE_ID) ?? "")?.[1] as DeliveryId | undefined;
}

/** Throws an Error that names what is wrong: somebody else published to our subjects. */
export function parseMessage(subject: string, read: MsgHdrs | undefined, payload: string): Message {
  const route = parseSubject(subject);
  if (route === undefined) {
    throw new Error("the subject is not of the form webhooks.<priority>.<partition>.<user>.<webhook>");
  }
  if (read === undefined) throw new Error("the message has no headers");
  const [, deliveryId, generation] = messageIdForm.exec(read.get(MESSAGE_ID)) ?? [];
  const [, origin, attemptCount, scheduleBase, since] = stateForm.exec(read.get(STATE)) ?? [];
  const [eventId, eventType] = [read.get(EVENT), read.get(EVENT_TYPE)];
  if (deliveryId === undefined) throw new Error(`the header ${MESSAGE_ID} is not <delivery>:<generation>`);
  const pendingSince = Date.parse(since ?? "");
  if (Number.isNaN(pendingSince)) throw new Error(`the header ${STATE} is missing or not of its form`);
  if (eventId === "" || eventType === "") throw new Error(`the header ${EVENT} or ${EVENT_TYPE} is missing`);
  return {
    ...route,
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
