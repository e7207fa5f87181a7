// Rule 3 again: what was published before a tenure, or before its connection, is told apart by where the stream ended then.

import { expect, test } from "bun:test";
import type { HeldMessages } from "../../src/delivery/held.ts";
import type { Intake } from "../../src/delivery/intake.ts";
import type { Tenure } from "../../src/delivery/ports.ts";
import { type Ownership, Tenures } from "../../src/delivery/tenures.ts";
import type { Message } from "../../src/domain/delivery.ts";
import type { Partition } from "../../src/domain/partition.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const lease: Ownership = { isCurrent: () => true, lasts: () => true };

const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** Tenures whose questions for the stream's end are answered by the test, and what each partition's tenure is now. */
function tenuresOfATest() {
  const clock = new ManualClock();
  const tenureOf = new Map<Partition, Tenure>();
  const questions: { answer(seq: number): Promise<void>; fail(): Promise<void> }[] = [];
  const renewed: Partition[] = [];
  const refuse = new Map<Partition, () => void>();
  const tenures = new Tenures({
    clock,
    observe: () => {},
    held: { ofPartition: () => [] } as unknown as HeldMessages,
    intake: {
      receive: (message: Message, _: unknown, tenure: Tenure) => void tenureOf.set(message.partition, tenure),
      forget: () => {},
      park: () => {},
      giveBack: () => {},
    } as unknown as Intake,
    pull(partition, receive, onRefused) {
      refuse.set(partition, onRefused);
      receive({ partition } as Message, { seq: 1 } as never);
      return { stop: () => Promise.resolve(), abandon: () => {}, renew: () => void renewed.push(partition) };
    },
    lastSequence: () =>
      new Promise((resolve, reject) => {
        questions.push({
          answer: (seq) => (resolve(seq), settle()),
          fail: () => (reject(new Error("timeout")), settle()),
        });
      }),
    onBegin: () => {},
    onEnd: () => {},
  });
  const begins = (partition: Partition) => tenureOf.get(partition)?.publishedAfterSeq;
  return { tenures, questions, begins, renewed, refuse, clock };
}

const gain = (tenures: Tenures, partition: Partition) => tenures.gain(partition, lease, "a test");

test("a tenure begins at the end that the stream has after the gain, however much longer the connection lasts", async () => {
  const { tenures, questions, begins } = tenuresOfATest();
  tenures.streamIs(1);
  gain(tenures, 3);
  expect(begins(3)).toBe(Number.POSITIVE_INFINITY);
  await questions[0]?.answer(100);
  expect(begins(3)).toBe(100);
  gain(tenures, 4);
  expect(begins(4)).toBe(Number.POSITIVE_INFINITY);
  await questions[1]?.answer(170);
  expect([begins(3), begins(4)]).toEqual([100, 170]);
});

test("gains that come together ask once", async () => {
  const { tenures, questions, begins } = tenuresOfATest();
  for (const partition of [1, 2, 3, 4]) gain(tenures, partition);
  tenures.streamIs(1);
  for (const partition of [5, 6, 7, 8]) gain(tenures, partition);
  await questions[0]?.answer(10);
  await questions[1]?.answer(11);
  expect([1, 4, 5, 8].map(begins)).toEqual([10, 10, 11, 11]);
  expect(questions).toHaveLength(2);
});

test("a lost answer costs checks, never the pulling: it is asked again until it comes", async () => {
  const { tenures, questions, begins, clock } = tenuresOfATest();
  gain(tenures, 3);
  tenures.streamIs(1);
  expect(begins(3)).toBe(Number.POSITIVE_INFINITY);
  for (const lost of [0, 1, 2]) {
    await questions[lost]?.fail();
    expect(begins(3)).toBe(Number.POSITIVE_INFINITY);
    clock.advance(500);
    await settle();
  }
  await questions[3]?.answer(42);
  expect(begins(3)).toBe(42);
});

test("an answer from before a disconnection counts for nothing after it", async () => {
  const { tenures, questions, begins, renewed } = tenuresOfATest();
  gain(tenures, 3);
  tenures.streamIs(1);
  tenures.streamIsUnknown();
  tenures.streamIs(1);
  expect(renewed).toEqual([3]);
  await questions[0]?.answer(100);
  expect(begins(3)).toBe(Number.POSITIVE_INFINITY);
  await questions[1]?.answer(120);
  expect(begins(3)).toBe(120);
});

test("what is gained without a connection is pulled with the next one, and a new epoch begins it anew", async () => {
  const { tenures, questions, begins } = tenuresOfATest();
  tenures.streamIs(1);
  tenures.streamIsUnknown();
  gain(tenures, 3);
  expect(begins(3)).toBe(undefined);
  tenures.streamIs(1);
  await questions[0]?.answer(100);
  expect(begins(3)).toBe(100);
  tenures.streamIs(2);
  expect(begins(3)).toBe(Number.POSITIVE_INFINITY);
  await questions[1]?.answer(0);
  expect(begins(3)).toBe(0);
});

test("a refused pull makes what was published before it doubtful: its consumer may be another one", async () => {
  const { tenures, questions, begins, refuse } = tenuresOfATest();
  for (const partition of [3, 4]) gain(tenures, partition);
  tenures.streamIs(1);
  await questions[0]?.answer(100);
  refuse.get(3)?.();
  expect([begins(3), begins(4)]).toEqual([Number.POSITIVE_INFINITY, 100]);
  await questions[1]?.answer(130);
  expect([begins(3), begins(4)]).toEqual([130, 100]);
});
