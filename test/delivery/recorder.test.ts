// Results on their way to a database that is slow, away, or refuses a value.

import { describe, expect, test } from "bun:test";
import { type AttemptOptions, Attempts } from "../../src/delivery/attempt.ts";
import { HeldMessages } from "../../src/delivery/held.ts";
import type { DeliveryState, StreamHandle, Tenure } from "../../src/delivery/ports.ts";
import { Recorder } from "../../src/delivery/recorder.ts";
import { type AttemptId, type DeliveryId, newId } from "../../src/domain/ids.ts";
import { RESULTS_BATCH_MAX, RESULTS_WAITING_MAX } from "../../src/domain/limits.ts";
import type { AttemptRecord, TurnResult } from "../../src/domain/turn-result.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { messageOf } from "../stream/servers.ts";

/** How long a result waits for others. */
const LINGER_MS = 50;
const AWAY = new Error("no connection");
const REFUSED = new Error("invalid byte sequence");

type Row = TurnResult & { agoMs: number };
type Write = { rows: readonly Row[]; end: () => Promise<void>; fail: (error: Error) => Promise<void> };

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

/** A recorder whose database answers when, and as, the test says. */
function recorder() {
  const clock = new ManualClock();
  const writes: Write[] = [];
  const reads: { ids: readonly DeliveryId[]; answer: (states: Map<DeliveryId, DeliveryState>) => void }[] = [];
  const observed: { name: string; fields: object }[] = [];
  const made = new Recorder({
    clock,
    observe: (name, fields) => void observed.push({ name, fields: { ...fields } }),
    write: (rows) =>
      new Promise((resolve, reject) => {
        writes.push({
          rows,
          end: () => (resolve(), settled()),
          fail: (error) => (reject(error), settled()),
        });
      }),
    read: (ids) => new Promise((resolve) => reads.push({ ids, answer: resolve })),
    isRefusal: (error) => error === REFUSED,
  });
  /** What each result was answered with, in the order of the answers. */
  const answers: { deliveryId: DeliveryId; error: unknown }[] = [];
  const record = (result: TurnResult, isCurrent = () => true) => {
    made.record(result, { isCurrent }).then(
      (error) => answers.push({ deliveryId: result.deliveryId, error }),
      (error: unknown) => answers.push({ deliveryId: result.deliveryId, error }),
    );
    return result;
  };
  const recordMany = (count: number, more = {}) => Array.from({ length: count }, () => record(resultOf(more)));
  return { recorder: made, clock, writes, reads, observed, answers, record, recordMany };
}

function resultOf({ body = null, error = null }: { body?: string | null; error?: string | null } = {}): TurnResult {
  const attempt: AttemptRecord = {
    id: newId<AttemptId>(),
    attempt: 1,
    statusCode: error === null ? 200 : 500,
    latencyMs: 12,
    error,
    responseBody: body,
  };
  const place = { kind: "completed", status: error === null ? "delivered" : "failed" } as const;
  return { deliveryId: newId<DeliveryId>(), generation: 0, place, error, attempt };
}

const handedBack = (): TurnResult => ({ ...resultOf(), place: { kind: "table", delayMs: null }, attempt: null });
const idsOf = (results: readonly TurnResult[] | undefined) => results?.map(({ deliveryId }) => deliveryId);

describe("results", () => {
  test("that come close together are written as one, and it is said how long ago each was", async () => {
    const { clock, writes, answers, record } = recorder();
    const first = record(resultOf());
    clock.advance(LINGER_MS - 1);
    const second = record(resultOf());
    expect(writes).toHaveLength(0);
    clock.advance(1);
    expect(writes.map(({ rows }) => rows)).toEqual([
      [
        { ...first, agoMs: LINGER_MS },
        { ...second, agoMs: 1 },
      ],
    ]);
    await settled();
    expect(answers).toHaveLength(0);
    await writes[0]?.end();
    expect(answers.map(({ error }) => error)).toEqual([undefined, undefined]);
  });

  test("of a full group wait for nobody, and two groups are written at once", async () => {
    const { writes, recordMany } = recorder();
    const results = recordMany(3 * RESULTS_BATCH_MAX);
    expect(writes.map(({ rows }) => idsOf(rows))).toEqual([
      idsOf(results.slice(0, RESULTS_BATCH_MAX)),
      idsOf(results.slice(RESULTS_BATCH_MAX, 2 * RESULTS_BATCH_MAX)),
    ] as DeliveryId[][]);
    await writes[0]?.end();
    expect(idsOf(writes[2]?.rows)).toEqual(idsOf(results.slice(2 * RESULTS_BATCH_MAX)) as DeliveryId[]);
  });

  test("without an attempt hold none of an attempt up, nor a request", () => {
    const { recorder: made, clock, writes, record } = recorder();
    for (let n = 0; n < 2 * RESULTS_WAITING_MAX; n += 1) record(handedBack());
    expect(writes).toHaveLength(1);
    expect(made.waiting).toBe(2 * RESULTS_WAITING_MAX);
    expect(made.hasRoom()).toBe(true);
    const attempted = record(resultOf());
    clock.advance(LINGER_MS);
    expect(idsOf(writes[1]?.rows)).toEqual([attempted.deliveryId]);
  });
});

test("while as many wait as may, no request has room, but what is under way has; afterwards all do", async () => {
  const { recorder: made, writes, recordMany } = recorder();
  recordMany(RESULTS_WAITING_MAX - 1);
  expect(made.hasRoom()).toBe(true);
  recordMany(1);
  expect(made.hasRoom()).toBe(false);
  recordMany(10);
  expect(made.waiting).toBe(RESULTS_WAITING_MAX + 10);
  await writes[0]?.fail(AWAY);
  expect(made.hasRoom()).toBe(false);
  await writes[1]?.end();
  expect(made.waiting).toBe(RESULTS_WAITING_MAX + 10 - RESULTS_BATCH_MAX);
  expect(made.hasRoom()).toBe(true);
});

describe("a value that is refused", () => {
  /** Writes as a database does that takes everything but `value`. */
  async function refusing(value: string, given: ReturnType<typeof recorder>): Promise<Row[]> {
    const { clock, writes } = given;
    const rows: Row[] = [];
    clock.advance(LINGER_MS);
    for (let next = 0; next < writes.length; next += 1) {
      const write = writes[next] as Write;
      if (JSON.stringify(write.rows).includes(value)) await write.fail(REFUSED);
      else {
        rows.push(...write.rows);
        await write.end();
      }
    }
    return rows;
  }

  test("is recorded without its words, and its neighbours as they are", async () => {
    const given = recorder();
    const [before] = given.recordMany(1, { body: "good", error: "HTTP 500" });
    const [bad] = given.recordMany(1, { body: "bad", error: "HTTP 400" });
    const [after] = given.recordMany(1, { body: "fine" });
    const rows = await refusing("bad", given);
    const error = "the receiver's words could not be stored";
    expect(rows).toEqual([
      { ...(before as TurnResult), agoMs: LINGER_MS },
      {
        ...(bad as TurnResult),
        error,
        attempt: { ...(bad?.attempt as AttemptRecord), error, responseBody: null },
        agoMs: LINGER_MS,
      },
      { ...(after as TurnResult), agoMs: LINGER_MS },
    ]);
    expect(given.answers.map((answer) => answer.error)).toEqual([undefined, undefined, undefined]);
    expect(given.clock.monotonic()).toBe(new ManualClock().monotonic() + LINGER_MS);
  });

  test("in what a success said leaves it a success, without an error", async () => {
    const given = recorder();
    given.recordMany(1, { body: "bad" });
    const rows = await refusing("bad", given);
    expect(rows).toMatchObject([
      { place: { status: "delivered" }, error: null, attempt: { error: null, responseBody: null } },
    ]);
  });

  test("in an error alone is taken away as well", async () => {
    const given = recorder();
    given.recordMany(1, { error: "bad certificate" });
    expect(await refusing("bad", given)).toMatchObject([{ place: { status: "failed" }, attempt: { statusCode: 500 } }]);
  });

  test("outside the words is never recorded: it alone is answered with the error", async () => {
    const given = recorder();
    const [good] = given.recordMany(1, { body: "good" });
    const [bad] = given.recordMany(1, { body: "words", error: "more words" });
    given.record(handedBack());
    const rows = await refusing(bad?.deliveryId as string, given);
    expect(idsOf(rows)).toHaveLength(2);
    const errorOf = (id: DeliveryId | undefined) => given.answers.find(({ deliveryId }) => deliveryId === id)?.error;
    expect(given.answers).toHaveLength(3);
    expect(errorOf(bad?.deliveryId)).toBe(REFUSED);
    expect(errorOf(good?.deliveryId)).toBe(undefined);
    expect(given.recorder.waiting).toBe(0);
  });
});

describe("while the database is away", () => {
  test("a lease that is lost takes along what was decided without an attempt, and no attempt", async () => {
    const { clock, writes, answers, record } = recorder();
    let isCurrent = true;
    const back = record(handedBack(), () => isCurrent);
    const others = record(handedBack());
    const attempted = record(resultOf(), () => isCurrent);
    clock.advance(LINGER_MS);
    expect(writes.map(({ rows }) => idsOf(rows))).toEqual([
      [back.deliveryId, others.deliveryId],
      [attempted.deliveryId],
    ]);
    isCurrent = false;
    await writes[0]?.fail(AWAY);
    await writes[1]?.fail(AWAY);
    clock.advance(100);
    await settled();
    expect(writes.slice(2).map(({ rows }) => idsOf(rows))).toEqual([[others.deliveryId], [attempted.deliveryId]]);
    for (const write of writes.slice(2)) await write.end();
    const errorOf = ({ deliveryId }: TurnResult) => answers.find((answer) => answer.deliveryId === deliveryId)?.error;
    expect([others, attempted].map(errorOf)).toEqual([undefined, undefined]);
    expect(String(errorOf(back))).toContain("lease was lost");
  });

  test("nothing is answered or lost: the same is written again, every two seconds in the end", async () => {
    const { clock, writes, observed, answers, record } = recorder();
    const result = record(resultOf());
    clock.advance(LINGER_MS);
    let agoMs = LINGER_MS;
    for (const [failures, pauseMs] of [100, 200, 400, 800, 1_600, 2_000, 2_000].entries()) {
      await writes[failures]?.fail(AWAY);
      clock.advance(pauseMs - 1);
      await settled();
      expect(writes).toHaveLength(failures + 1);
      clock.advance(1);
      await settled();
      expect(writes).toHaveLength(failures + 2);
      agoMs += pauseMs;
    }
    expect(answers).toHaveLength(0);
    expect(observed).toHaveLength(7);
    expect(observed[0]).toEqual({ name: "record.failed", fields: { results: 1, error: "no connection" } });
    expect(writes.at(-1)?.rows).toEqual([{ ...result, agoMs }]);
    await writes.at(-1)?.end();
    expect(answers).toEqual([{ deliveryId: result.deliveryId, error: undefined }]);
  });

  /** A delivery whose request has ended well, and what the stream has heard of it. */
  function delivered({ recorder: log, clock }: ReturnType<typeof recorder>) {
    const answered: string[] = [];
    const held = new HeldMessages(clock);
    const ignored = () => {};
    const on = { observe: ignored, onLeftStream: ignored, onRecorded: ignored };
    const options = { clock, log, held, random: () => 0, retrySchedule: [1], ...on };
    const handle = { ack: () => void answered.push("ack"), nak: () => void answered.push("nak") } as object;
    const tenure = { isCurrent: () => true } as Tenure;
    const one = held.add(messageOf(), handle as StreamHandle, tenure);
    const answer = { statusCode: 200, responseBody: null, retryAfterMs: null };
    const outcome = { kind: "accepted", answer, latencyMs: 1 } as const;
    new Attempts(options as unknown as AttemptOptions).end(one, { kind: "attempted", outcome, isCrowded: false });
    clock.advance(LINGER_MS);
    return { held, answered };
  }

  test("nothing is acked, and what it is about stays in hand until it is", async () => {
    const given = recorder();
    const { held, answered } = delivered(given);
    await given.writes[0]?.fail(AWAY);
    expect(answered).toEqual([]);
    expect(held.count).toBe(1);
    given.clock.advance(100);
    await settled();
    await given.writes[1]?.end();
    expect(answered).toEqual(["ack"]);
    expect(held.count).toBe(0);
  });

  test("or refuses for good, neither ack nor nak: the stream brings it again", async () => {
    const given = recorder();
    const { held, answered } = delivered(given);
    await given.writes[0]?.fail(REFUSED);
    expect(given.writes).toHaveLength(1);
    expect(answered).toEqual([]);
    expect(held.count).toBe(0);
  });
});

test("rows are looked at together, and one that is missing has no state", async () => {
  const { recorder: made, clock, reads } = recorder();
  const [known, missing] = [newId<DeliveryId>(), newId<DeliveryId>()];
  const checked = Promise.all([made.check(missing), made.check(known)]);
  clock.advance(5);
  expect(reads.map(({ ids }) => ids)).toEqual([[missing, known]]);
  const state = {
    status: "pending",
    generation: 1,
    attemptCount: 2,
    scheduleBase: 0,
    pendingSince: 3,
    pendingForMs: 4,
    dueInMs: 0,
  };
  reads[0]?.answer(new Map([[known, state]]));
  expect(await checked).toEqual([undefined, state]);
});
