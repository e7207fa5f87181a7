// What becomes of a delivery after its turn, and what the stream hears of it: one rule a line.

import { describe, expect, test } from "bun:test";
import { HeldMessages } from "../../src/delivery/held.ts";
import type { Held, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import { answerStream, decide, isHandedBack, type Turn } from "../../src/delivery/settle.ts";
import type { Message } from "../../src/domain/delivery.ts";
import { STREAM_RETRY_MAX_MS } from "../../src/domain/limits.ts";
import { type Outcome, outcomeOfAnswer } from "../../src/domain/outcome.ts";
import type { Place } from "../../src/domain/turn-result.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";
import { attemptsWith, endpointOf } from "./attempts.ts";

const SEQ = 70;
const EPOCH = 4;
/** Three attempts: the second soon, the third later than the stream keeps anything. */
const SCHEDULE = [1, 60];

const answering = (statusCode: number, retryAfterMs: number | null = null): Outcome =>
  outcomeOfAnswer({ statusCode, responseBody: "its words", retryAfterMs }, 12.6);
const timeout: Outcome = { kind: "failed", stage: "timeout", error: "timeout", answer: null, latencyMs: 1_000 };

function heldOf(message: Partial<Message> = {}, isCurrent = true): { held: Held; answered: string[] } {
  const answered: string[] = [];
  const handle = {
    seq: SEQ,
    ack: () => void answered.push("ack"),
    nak: (delayMs: number) => void answered.push(`nak ${delayMs}`),
  } as StreamHandle;
  const tenure = { epoch: EPOCH, isCurrent: () => isCurrent } as Tenure;
  return { held: new HeldMessages(new ManualClock()).add(messageOf(message), handle, tenure), answered };
}

const attempted = (outcome: Outcome, isCrowded = false) => ({ kind: "attempted", outcome, isCrowded }) as const;

type Chosen = { schedule?: readonly number[]; chance?: number };

/** Decides and answers, as if the record of it were made in between. */
function settle(turn: Turn, message: Partial<Message> = {}, { schedule = SCHEDULE, chance = 0 }: Chosen = {}) {
  const { held, answered } = heldOf(message);
  const decision = decide(held, turn, schedule, () => chance);
  answerStream(held, decision);
  return { message: held.message, ...decision, isHandedBack: isHandedBack(decision), answered };
}

const inStream = (delayMs: number): Place => ({ kind: "stream", seq: SEQ, epoch: EPOCH, delayMs });
const inTable = (delayMs: number | null): Place => ({ kind: "table", delayMs });
const ended = (status: "delivered" | "failed" | "cancelled"): Place => ({ kind: "completed", status });

/** `made`: attempts before this one; `base`: those of earlier schedules among them. */
type Given = Chosen & { outcome: Outcome; isCrowded?: boolean; made?: number; base?: number };
const attempts: [rule: string, given: Given, place: Place, answered: string][] = [
  ["a failed one stays in the stream when the next is soon", { outcome: timeout }, inStream(1_000), "nak 1000"],
  [
    "as late as the stream keeps it, it stays there",
    { outcome: timeout, schedule: [STREAM_RETRY_MAX_MS / 1_000] },
    inStream(30_000),
    "nak 30000",
  ],
  [
    "a millisecond later, it waits in the table",
    { outcome: timeout, schedule: [(STREAM_RETRY_MAX_MS + 1) / 1_000] },
    inTable(30_001),
    "ack",
  ],
  [
    "chance puts the next one off before it is known where to wait",
    { outcome: timeout, schedule: [29], chance: 0.5 },
    inTable(31_900),
    "ack",
  ],
  [
    "behind many others of a slow endpoint, it waits in the table, however short",
    { outcome: timeout, isCrowded: true },
    inTable(1_000),
    "ack",
  ],
  ["2xx is delivered, whatever waits", { outcome: answering(200), isCrowded: true }, ended("delivered"), "ack"],
  ["the schedule goes on from attempt to attempt", { outcome: timeout, made: 1 }, inTable(60_000), "ack"],
  ["the last of the schedule has failed", { outcome: timeout, made: 2 }, ended("failed"), "ack"],
  ["without a schedule the first is the last", { outcome: timeout, schedule: [] }, ended("failed"), "ack"],
  ["a redirect is a failure like others", { outcome: answering(302) }, inStream(1_000), "nak 1000"],
  ["2xx is delivered", { outcome: answering(204) }, ended("delivered"), "ack"],
  ["2xx is delivered by the last attempt, too", { outcome: answering(200), made: 2 }, ended("delivered"), "ack"],
  ["410 has failed at once, whatever is left of the schedule", { outcome: answering(410) }, ended("failed"), "ack"],
  [
    "Retry-After sends it to the table, however short, and not before that time",
    { outcome: answering(429, 5_000) },
    inTable(5_000),
    "ack",
  ],
  ["Retry-After calls no attempt earlier", { outcome: answering(503, 500) }, inTable(1_000), "ack"],
  ["Retry-After may be later than a late one", { outcome: answering(503, 90_000), made: 1 }, inTable(90_000), "ack"],
  ["a 429 that names no time is a failure like others", { outcome: answering(429) }, inStream(1_000), "nak 1000"],
  ["Retry-After adds no attempt to the schedule", { outcome: answering(429, 5_000), made: 2 }, ended("failed"), "ack"],
  ["after a replay the schedule starts again", { outcome: timeout, made: 3, base: 3 }, inStream(1_000), "nak 1000"],
  ["after a replay it goes on, too", { outcome: timeout, made: 4, base: 3 }, inTable(60_000), "ack"],
  ["after a replay it ends as well", { outcome: timeout, made: 5, base: 3 }, ended("failed"), "ack"],
];

describe("an attempt", () => {
  test.each(attempts)("%s", (_, { outcome, isCrowded = false, made = 0, base = 0, ...more }, place, answered) => {
    const message = { attemptCount: made, scheduleBase: base };
    const settled = settle(attempted(outcome, isCrowded), message, more);
    expect(settled.result?.place).toEqual(place);
    expect(settled.answered).toEqual([answered]);
    expect(settled.isHandedBack).toBe(false);
    // Numbers go on, whichever schedule it is.
    expect(settled.result?.attempt?.attempt).toBe(made + 1);
  });

  test("is recorded for the generation that was sent, with what the receiver said", () => {
    const { message, result } = settle(attempted(answering(500)), { generation: 6 });
    expect(result).toMatchObject({ deliveryId: message.deliveryId, generation: 6, error: "HTTP 500" });
    expect(result?.attempt).toMatchObject({
      attempt: 1,
      statusCode: 500,
      latencyMs: 13,
      error: "HTTP 500",
      responseBody: "its words",
    });
  });

  test("without an answer is recorded with its error alone", () => {
    const { result } = settle(attempted(timeout));
    expect(result).toMatchObject({ error: "timeout", attempt: { statusCode: null, responseBody: null } });
  });

  test("that was accepted leaves no error, and 410 says that it is for good", () => {
    const errorOf = (outcome: Outcome) => settle(attempted(outcome)).result?.error;
    expect(errorOf(answering(200))).toBe(null);
    expect(errorOf(answering(410))).toBe("HTTP 410: gone for good");
  });
});

describe("a turn without a request", () => {
  const reason = "expired: older than its whole schedule";
  test.each([
    ["of a webhook that is gone cancels the delivery", { kind: "cancelled" }, ended("cancelled"), null],
    ["of what is older than its whole schedule fails it, and says why", { kind: "expired" }, ended("failed"), reason],
    ["that is handed back leaves it in the table, due as before", { kind: "handed_back" }, inTable(null), null],
  ] as const)("%s", (_, turn, place, error) => {
    const { message, result, answered, isHandedBack: isBack } = settle(turn, { generation: 2, attemptCount: 1 });
    expect(result).toEqual({ deliveryId: message.deliveryId, generation: 2, place, error, attempt: null });
    expect(answered).toEqual(["ack"]);
    expect(isBack).toBe(turn.kind === "handed_back");
  });

  test("for an obsolete message leaves no record, and the message is acked", () => {
    expect(settle({ kind: "obsolete" })).toMatchObject({ result: null, answered: ["ack"], isHandedBack: false });
  });

  test("that is postponed leaves no record, and the message comes again", () => {
    const settled = settle({ kind: "postponed", delayMs: 2_000 });
    expect(settled).toMatchObject({ result: null, answered: ["nak 2000"], isHandedBack: false });
  });
});

test.each([
  ["acked", attempted(answering(200))],
  ["naked", attempted(timeout)],
  ["dropped", { kind: "obsolete" }],
  ["postponed", { kind: "postponed", delayMs: 0 }],
] as const)("after a lost lease nothing is answered for: what would have been %s", (_, turn) => {
  const { held, answered } = heldOf({}, false);
  answerStream(
    held,
    decide(held, turn, SCHEDULE, () => 0),
  );
  expect(answered).toEqual([]);
});

describe("a delivery whose turn comes", () => {
  test("behind an open circuit goes to the table, behind its gate", async () => {
    const { sent, recorded, answered, take } = attemptsWith(() => endpointOf());
    for (let failure = 0; failure < 5; failure += 1) {
      await take();
      await sent[failure]?.end(timeout);
    }
    await take();
    expect(sent).toHaveLength(5);
    expect(recorded.at(-1)).toMatchObject({ place: inTable(null), attempt: null });
    expect(answered.at(-1)).toBe("ack");
  });

  test("after its whole schedule and a day for waiting behind others has expired", async () => {
    const { clock, sent, recorded, answered, take } = attemptsWith(() => endpointOf());
    // Of the schedule in attempts.ts: 1 s and 5 s, each with 20 % for chance.
    const livesMs = 7_200 + 86_400_000;
    await take({}, clock.monotonic() - livesMs);
    expect(sent).toHaveLength(1);
    expect(recorded).toHaveLength(0);
    await take({}, clock.monotonic() - livesMs - 1);
    expect(sent).toHaveLength(1);
    expect(recorded).toMatchObject([{ place: ended("failed"), error: "expired: older than its whole schedule" }]);
    expect(answered).toEqual(["ack"]);
  });

  test("and is young has not expired, though this machine's clock is days ahead", async () => {
    const { clock, sent, take } = attemptsWith(() => endpointOf());
    await take({ pendingSince: clock.now() - 30 * 86_400_000 });
    await take({ pendingSince: clock.now() - 30 * 86_400_000 }, clock.monotonic());
    expect(sent).toHaveLength(2);
  });

  test("and was pending when its webhook's were cancelled is cancelled; one from after that is sent", async () => {
    const { clock, sent, recorded, take } = attemptsWith(() => endpointOf({ cancelBefore: 1_700_000_000_000 }));
    await take({ pendingSince: clock.now() });
    expect(sent).toHaveLength(0);
    expect(recorded).toMatchObject([{ place: ended("cancelled"), attempt: null }]);
    await take({ pendingSince: clock.now() + 1 });
    expect(sent).toHaveLength(1);
  });
});
