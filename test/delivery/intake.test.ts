// What becomes of a message on its arrival: whether it is known already, and what its row says of it.

import { describe, expect, test } from "bun:test";
import { type AttemptOptions, Attempts } from "../../src/delivery/attempt.ts";
import { HeldMessages } from "../../src/delivery/held.ts";
import { Intake, type IntakeOptions } from "../../src/delivery/intake.ts";
import type { DeliveryState, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import type { Message } from "../../src/domain/delivery.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import type { TurnResult } from "../../src/domain/turn-result.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";
import { endpointOf } from "./attempts.ts";

const NOW = 1_800_000_000_000;
const PARTITION = 3;
const accepted: Outcome = {
  kind: "accepted",
  answer: { statusCode: 200, responseBody: null, retryAfterMs: null },
  latencyMs: 1,
};
const timedOut: Outcome = { kind: "failed", stage: "timeout", error: "timeout", answer: null, latencyMs: 15_000 };
const PENDING: DeliveryState = {
  status: "pending",
  generation: 0,
  attemptCount: 0,
  scheduleBase: 0,
  pendingSince: NOW,
  pendingForMs: 0,
  dueInMs: 0,
};

type Lane = Parameters<IntakeOptions["onLaneFull"]>[0];

/** A tenure that the test can end, or begin to give back. */
const tenureOf = (partition = PARTITION) => {
  const state = { isCurrent: true, isDraining: false };
  const tenure: Tenure = {
    partition,
    epoch: 1,
    publishedAfterSeq: 0,
    get isDraining() {
      return state.isDraining;
    },
    isCurrent: () => state.isCurrent,
    mayStartRequest: () => true,
  };
  return Object.assign(state, { tenure });
};

async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await Promise.resolve();
}

/** An intake whose actors take their turns, and whose requests end, when the test says so. */
function intake(row: () => Promise<DeliveryState | undefined> = () => Promise.resolve(PENDING), outcome = accepted) {
  const clock = new ManualClock(NOW);
  const held = new HeldMessages(clock);
  const answered: string[] = [];
  const recorded: TurnResult[] = [];
  const requests: (() => Promise<void>)[] = [];
  const checked: string[] = [];
  const log = {
    record(result: TurnResult) {
      recorded.push(result);
      return Promise.resolve(undefined);
    },
    check(deliveryId: string) {
      checked.push(deliveryId);
      return row();
    },
  };
  const send = () =>
    new Promise((resolve) => {
      requests.push(() => (resolve(outcome), settled()));
    });
  const ignored = () => {};
  const on = { observe: ignored, onLeftStream: ignored, onRecorded: ignored, onOutcome: ignored };
  const circuits = { ask: () => "open", tell: ignored };
  const isCrowded = (route: Message) => made.isCrowded(route.webhookId, route.priority);
  const endpoints = { find: () => endpointOf(), maxInFlight: () => 1 };
  const common = { clock, held, log, endpoints };
  const options = { ...common, ...on, isCrowded, circuits, random: () => 0, retrySchedule: [1], sender: { send } };
  const attempts = new Attempts(options as unknown as AttemptOptions);
  const full: string[] = [];
  const onLaneFull = ({ webhookId, priority }: Lane) => void full.push(`${webhookId} ${priority}`);
  const arriving = { ...common, ...on, attempts, onReady: ignored, onLaneFull };
  const made = new Intake(arriving as unknown as IntakeOptions);

  const { tenure: ours } = tenureOf();
  /** Its nth delivery, under the message's own sequence. Answers are noted as `seq.n`. */
  const receive = async (message: Message, seq = 1, n = 1, tenure = ours) => {
    const note = (answer: string) => void answered.push(`${seq}.${n} ${answer}`);
    const handle: StreamHandle = {
      seq,
      deliveryCount: n,
      storedAt: NOW,
      ack: () => note("ack"),
      nak: (delayMs) => note(`nak ${delayMs}`),
      working: ignored,
    };
    made.receive(message, handle, tenure);
    await settled();
  };
  /** Everybody who waits has a turn. */
  const begin = async () => {
    for (const actor of made.actors.cells()) while (actor.step("high") !== undefined);
    await settled();
  };
  return { intake: made, clock, held, answered, recorded, requests, checked, full, receive, begin };
}

/** May be sent unchecked. */
const fresh = (more: Partial<Message> = {}) => messageOf({ pendingSince: NOW, partition: PARTITION, ...more });
/** Is compared with its row first. */
const refilled = (more: Partial<Message> = {}) => fresh({ origin: "refill", ...more });

describe("a delivery that is held already", () => {
  test("and waits: a redelivery only replaces its handle, and the newer one is acked", async () => {
    const { answered, requests, recorded, receive, begin } = intake();
    const message = fresh();
    await receive(message, 7, 1);
    await receive(message, 7, 2);
    expect(answered).toEqual([]);
    await begin();
    expect(requests).toHaveLength(1);
    await requests[0]?.();
    expect(recorded).toHaveLength(1);
    expect(answered).toEqual(["7.2 ack"]);
  });

  test("and is in flight: the same", async () => {
    const { held, answered, requests, checked, receive, begin } = intake();
    const message = fresh();
    await receive(message, 7, 1);
    await begin();
    await receive(message, 7, 2);
    await receive(message, 7, 3);
    await begin();
    expect(held.count).toBe(1);
    expect(requests).toHaveLength(1);
    expect(checked).toEqual([]);
    await requests[0]?.();
    expect(answered).toEqual(["7.3 ack"]);
    expect(held.count).toBe(0);
  });

  test("and is being checked: the same", async () => {
    const { answered, checked, receive } = intake(() => Promise.resolve(undefined));
    const message = refilled();
    const first = receive(message, 7, 1);
    await receive(message, 7, 2);
    await first;
    expect(checked).toHaveLength(1);
    expect(answered).toEqual(["7.2 ack"]);
  });

  test("answers for another message of its generation: that one is acked at once", async () => {
    const { answered, requests, receive, begin } = intake();
    const message = fresh();
    await receive(message, 7);
    await receive(message, 9);
    expect(answered).toEqual(["9.1 ack"]);
    await begin();
    await requests[0]?.();
    expect(requests).toHaveLength(1);
    expect(answered).toEqual(["9.1 ack", "7.1 ack"]);
  });

  test("does not answer for a message of another generation: that one comes again", async () => {
    const { held, answered, receive } = intake();
    const message = fresh();
    await receive(message, 7);
    await receive({ ...message, generation: 1 }, 9);
    expect(answered).toEqual(["9.1 nak 2000"]);
    expect(held.find(message.deliveryId)).toMatchObject({ handle: { seq: 7 }, message: { generation: 0 } });
  });
});

test("what would wait long behind slow requests goes back to the table, and its lane is full", async () => {
  const { clock, held, answered, recorded, requests, full, receive, begin } = intake();
  const first = fresh();
  const { webhookId } = first;
  // While nothing is known of the endpoint everything waits.
  await receive(first, 1);
  await begin();
  for (let seq = 2; seq <= 5; seq += 1) await receive(fresh({ webhookId }), seq);
  expect([answered, full]).toEqual([[], []]);
  // The request hangs: it need not have ended to be known as slow.
  clock.advance(6_000);
  await receive(fresh({ webhookId }), 6);
  expect(full).toEqual([`${webhookId} high`]);
  expect(recorded.at(-1)).toMatchObject({ place: { kind: "table", delayMs: null }, attempt: null });
  expect(answered).toEqual(["6.1 ack"]);
  await requests[0]?.();
  await receive(fresh({ webhookId }), 7);
  expect(answered).toEqual(["6.1 ack", "1.1 ack", "7.1 ack"]);
  // Those of another endpoint, and of another lane, wait behind others.
  await receive(fresh(), 8);
  await receive(fresh({ webhookId, priority: "low" }), 9);
  expect(answered).toEqual(["6.1 ack", "1.1 ack", "7.1 ack"]);
  expect(held.count).toBe(6);
});

test("a retry behind many others of a slow endpoint waits in the table at once, and not only when it comes again", async () => {
  const { clock, recorded, requests, receive, begin, answered } = intake(undefined, timedOut);
  const first = fresh();
  const { webhookId } = first;
  await receive(first, 1);
  await begin();
  for (let seq = 2; seq <= 4; seq += 1) await receive(fresh({ webhookId }), seq);
  clock.advance(15_000);
  await requests[0]?.();
  expect(recorded.at(-1)).toMatchObject({ place: { kind: "table", delayMs: 1_000 }, attempt: { attempt: 1 } });
  expect(answered).toEqual(["1.1 ack"]);
  // Behind few others it stays in the stream.
  const other = fresh();
  await receive(other, 5);
  await begin();
  clock.advance(15_000);
  await requests.at(-1)?.();
  expect(recorded.at(-1)).toMatchObject({ place: { kind: "stream", delayMs: 1_000 } });
  expect(answered).toEqual(["1.1 ack", "5.1 nak 1000"]);
});

describe("a message whose row", () => {
  test.each([
    ["is missing", undefined],
    ["is not pending", { ...PENDING, status: "delivered" }],
    ["has a later generation", { ...PENDING, generation: 1 }],
  ])("%s is acked and dropped", async (_, row) => {
    const { held, answered, requests, recorded, receive, begin } = intake(() => Promise.resolve(row));
    await receive(refilled());
    await begin();
    expect(answered).toEqual(["1.1 ack"]);
    expect([requests.length, recorded.length, held.count]).toEqual([0, 0, 0]);
  });

  test("is due later, after an attempt, comes again when it is", async () => {
    const row = { ...PENDING, attemptCount: 1, dueInMs: 700 };
    const { held, answered, requests, recorded, receive, begin } = intake(() => Promise.resolve(row));
    await receive(fresh(), 1, 2);
    await begin();
    expect(answered).toEqual(["1.2 nak 700"]);
    expect([requests.length, recorded.length, held.count]).toEqual([0, 0, 0]);
  });

  test.each([
    ["the first attempt", { attemptCount: 0, scheduleBase: 0 }],
    ["the first attempt after a replay", { attemptCount: 4, scheduleBase: 4 }],
  ])("is due later before %s does not wait for that: it is only the API's grace", async (_, figures) => {
    const row = { ...PENDING, ...figures, dueInMs: 700 };
    const { answered, requests, receive, begin } = intake(() => Promise.resolve(row));
    await receive(refilled());
    await begin();
    expect(answered).toEqual([]);
    expect(requests).toHaveLength(1);
  });

  test("is due has its turn, with the row's figures and not its own", async () => {
    const row = { ...PENDING, generation: 2, attemptCount: 6, scheduleBase: 5 };
    const { answered, requests, recorded, receive, begin } = intake(() => Promise.resolve(row));
    await receive(refilled({ generation: 2, attemptCount: 1, pendingSince: 0 }));
    await begin();
    await requests[0]?.();
    expect(recorded).toMatchObject([{ generation: 2, place: { status: "delivered" }, attempt: { attempt: 7 } }]);
    expect(answered).toEqual(["1.1 ack"]);
  });

  test("cannot be read comes again in a while", async () => {
    const { held, answered, requests, receive, begin } = intake(() => Promise.reject(new Error("no connection")));
    await receive(refilled());
    await begin();
    expect(answered).toEqual(["1.1 nak 2000"]);
    expect([requests.length, held.count]).toEqual([0, 0]);
  });
});

describe("after a lost lease", () => {
  test("a message is ignored, and one that is held keeps its handle", async () => {
    const { held, answered, checked, receive } = intake();
    const { tenure } = Object.assign(tenureOf(), { isCurrent: false });
    const message = fresh();
    await receive(message, 7);
    await receive(message, 7, 2, tenure);
    await receive(message, 9, 1, tenure);
    await receive(refilled(), 11, 1, tenure);
    expect(held.count).toBe(1);
    expect(held.find(message.deliveryId)?.handle.deliveryCount).toBe(1);
    expect([answered, checked]).toEqual([[], []]);
  });

  test("what waits is dropped; what is in flight is recorded, and answered for by somebody else", async () => {
    const { intake: made, held, answered, requests, recorded, receive, begin } = intake();
    const lease = tenureOf();
    await receive(fresh(), 1, 1, lease.tenure);
    await begin();
    await receive(fresh(), 2, 1, lease.tenure);
    lease.isCurrent = false;
    made.forget(PARTITION);
    expect(held.count).toBe(1);
    await begin();
    expect(requests).toHaveLength(1);
    await requests[0]?.();
    expect(recorded).toHaveLength(1);
    expect([answered, held.count]).toEqual([[], 0]);
  });
});

test("what waits of a parked partition, or still comes, is set aside, and given back by nak in the end", async () => {
  const { intake: made, held, answered, requests, receive, begin } = intake();
  const ours = tenureOf();
  const other = tenureOf(4);
  await receive(fresh(), 1, 1, ours.tenure);
  await begin();
  await receive(fresh(), 2, 1, ours.tenure);
  await receive(fresh({ partition: 4 }), 3, 1, other.tenure);
  ours.isDraining = true;
  made.park(PARTITION);
  await receive(fresh(), 4, 1, ours.tenure);
  await receive(refilled(), 5, 1, ours.tenure);
  await begin();
  // The one that was in flight, and another partition's.
  expect(requests).toHaveLength(2);
  expect(answered).toEqual([]);
  made.giveBack(PARTITION);
  await settled();
  expect(answered).toEqual(["2.1 nak 0", "4.1 nak 0", "5.1 nak 0"]);
  await receive(fresh(), 6, 1, ours.tenure);
  expect(answered.at(-1)).toBe("6.1 nak 0");
  for (const end of requests) await end();
  expect(answered.slice(4)).toEqual(["1.1 ack", "3.1 ack"]);
  expect(held.count).toBe(0);
});
