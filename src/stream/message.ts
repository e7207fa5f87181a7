// A delivery as a JetStream message: readable headers, so that `nats stream get` explains itself, and the payload as body.

import { headers, type MsgHdrs } from "@nats-io/transport-node";
import type { Message } from "../domain/delivery.ts";
import type { DeliveryId, EventId } from "../domain/ids.ts";
import { parseSubject } from "./subjects.ts";

const DELIVERY = "Fairpost-Delivery";
const EVENT = "Fairpost-Event";
const EVENT_TYPE = "Fairpost-Event-Type";
const GENERATION = "Fairpost-Generation";
const ATTEMPTS = "Fairpost-Attempts";
const SCHEDULE_BASE = "Fairpost-Schedule-Base";
const PENDING_SINCE = "Fairpost-Pending-Since";
const ORIGIN = "Fairpost-Origin";

/** JetStream swallows a second message under an id that it saw within the duplicate window, even after the ack. */
export function messageId(message: Pick<Message, "deliveryId" | "generation">): string {
  return `${message.deliveryId}:${message.generation}`;
}

export function headersOf(message: Message): MsgHdrs {
  const written = headers();
  written.set("Nats-Msg-Id", messageId(message));
  written.set(DELIVERY, message.deliveryId);
  written.set(EVENT, message.eventId);
  written.set(EVENT_TYPE, message.eventType);
  written.set(GENERATION, String(message.generation));
  written.set(ATTEMPTS, String(message.attemptCount));
  written.set(SCHEDULE_BASE, String(message.scheduleBase));
  written.set(PENDING_SINCE, new Date(message.pendingSince).toISOString());
  written.set(ORIGIN, message.origin);
  return written;
}

/** Throws an Error that names what is missing: somebody else published to our subjects. */
export function parseMessage(subject: string, read: MsgHdrs | undefined, payload: string): Message {
  const route = parseSubject(subject);
  if (route === undefined)
    throw new Error("the subject is not of the form webhooks.<priority>.<partition>.<user>.<webhook>");
  if (read === undefined) throw new Error("the message has no headers");
  const text = (name: string): string => {
    const value = read.get(name);
    if (value === "") throw new Error(`the header ${name} is missing`);
    return value;
  };
  const whole = (name: string): number => {
    const value = Number(text(name));
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`the header ${name} is not a whole number`);
    return value;
  };
  const pendingSince = Date.parse(text(PENDING_SINCE));
  if (Number.isNaN(pendingSince)) throw new Error(`the header ${PENDING_SINCE} is not a time`);
  return {
    ...route,
    deliveryId: text(DELIVERY) as DeliveryId,
    eventId: text(EVENT) as EventId,
    eventType: text(EVENT_TYPE),
    generation: whole(GENERATION),
    attemptCount: whole(ATTEMPTS),
    scheduleBase: whole(SCHEDULE_BASE),
    pendingSince,
    origin: text(ORIGIN) === "accept" ? "accept" : "refill",
    payload,
  };
}
