// Attempts without Postgres, NATS and receivers: what is sent waits until the test says how it ends.

import { Attempts } from "../../src/delivery/attempt.ts";
import { Circuits } from "../../src/delivery/circuits.ts";
import { HeldMessages } from "../../src/delivery/held.ts";
import type { Endpoint, Endpoints, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import type { Message } from "../../src/domain/delivery.ts";
import type { UserId, WebhookId } from "../../src/domain/ids.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import type { TurnResult } from "../../src/domain/turn-result.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";

export const endpointOf = (more: Partial<Endpoint> = {}): Endpoint => ({
  webhookId: "webhook" as WebhookId,
  userId: "user" as UserId,
  url: "https://example.com/",
  headers: {},
  maxInFlight: 1,
  isActive: true,
  secrets: ["secret"],
  unreadable: null,
  cancelBefore: null,
  ...more,
});

export function attemptsWith(find: Endpoints["find"], reload: Endpoints["reload"] = async (id) => find(id)) {
  const clock = new ManualClock();
  const observed: { name: string; fields: Record<string, unknown> }[] = [];
  const observe = (name: string, fields: object) => void observed.push({ name, fields: { ...fields } });
  const held = new HeldMessages(clock);
  const sent: { eventId: string; end: (outcome: Outcome | undefined) => Promise<void> }[] = [];
  const recorded: TurnResult[] = [];
  const answered: string[] = [];
  const circuits = new Circuits({
    clock,
    observe,
    save: () => Promise.resolve(),
    noteSuccesses: () => Promise.resolve(),
  });
  const attempts = new Attempts({
    clock,
    random: () => 0,
    observe,
    endpoints: { find, reload, maxInFlight: () => 1, shut: () => {}, disable: () => {} },
    circuits,
    sender: {
      send: ({ eventId }) =>
        new Promise((resolve) => {
          const end = async (outcome: Outcome | undefined) => {
            resolve(outcome);
            await settled();
          };
          sent.push({ eventId, end });
        }),
    },
    log: {
      record(result) {
        recorded.push(result);
        return Promise.resolve(undefined);
      },
      hasRoom: () => true,
      check: () => Promise.resolve(undefined),
    },
    held,
    retrySchedule: [1, 5],
    attemptTimeoutMs: 1_000,
    isCrowded: () => false,
    onLeftStream: () => {},
    onRecorded: () => {},
    onOutcome: () => {},
  });
  const tenure: Tenure = {
    partition: 3,
    epoch: 1,
    publishedAfterSeq: 0,
    isDraining: false,
    isCurrent: () => true,
    mayStartRequest: () => true,
  };
  /** Begins the turn of a message, as far as it goes by itself. */
  const take = async (message: Partial<Message> = {}, pendingFrom?: number) => {
    const handle: StreamHandle = {
      seq: 1,
      deliveryCount: 1,
      storedAt: clock.now(),
      ack: () => void answered.push("ack"),
      nak: (delayMs) => void answered.push(`nak ${delayMs}`),
      working: () => {},
    };
    const webhookId = "webhook" as WebhookId;
    const one = held.add(messageOf({ webhookId, pendingSince: clock.now(), ...message }), handle, tenure);
    if (pendingFrom !== undefined) one.pendingFrom = pendingFrom;
    attempts.take(one).catch((error: unknown) => observed.push({ name: "crashed", fields: { error } }));
    await settled();
  };
  return { clock, held, circuits, sent, recorded, answered, observed, take };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
