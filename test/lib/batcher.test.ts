import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Batcher, BatcherFullError } from "../../src/lib/batcher.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";

type Call = { items: number[]; end(): void; fail(error: Error): void };

/** A sink whose calls end when the test says so. */
function batcher(
  options: {
    sizeMax?: () => number;
    lingerMs?: number;
    isPrompt?: boolean;
    inFlightMax?: number;
    waitingMax?: number;
  } = {},
) {
  const clock = new ManualClock();
  const calls: Call[] = [];
  const made = new Batcher<number, string>({
    clock,
    sizeMax: () => 3,
    lingerMs: 10,
    inFlightMax: 2,
    waitingMax: 100,
    ...options,
    run: (items) =>
      new Promise((resolve, reject) => {
        calls.push({ items, end: () => resolve(items.map((item) => `r${item}`)), fail: reject });
      }),
  });
  return { batcher: made, clock, calls };
}

describe("Batcher", () => {
  test("a prompt one waits for nobody while no call is under way, and lingers while one is", () => {
    const { batcher: made, clock, calls } = batcher({ isPrompt: true });
    const add = (item: number) => void made.add(item).catch(() => {});
    add(1);
    add(2);
    expect(calls).toHaveLength(0);
    // The end of this turn.
    clock.advance(0);
    expect(calls.map(({ items }) => items)).toEqual([[1, 2]]);
    add(3);
    clock.advance(9);
    expect(calls).toHaveLength(1);
    clock.advance(1);
    expect(calls.map(({ items }) => items)).toEqual([[1, 2], [3]]);
  });

  test("waits for company, but not longer than it lingers", async () => {
    const { batcher: made, clock, calls } = batcher();
    const answers = [made.add(1), made.add(2)];
    clock.advance(9);
    expect(calls).toHaveLength(0);
    clock.advance(1);
    expect(calls.map(({ items }) => items)).toEqual([[1, 2]]);
    calls[0]?.end();
    expect(await Promise.all(answers)).toEqual(["r1", "r2"]);
    expect(made.size).toBe(0);
  });

  test("calls at once when a batch is full, and has no more calls under way than it may", async () => {
    const { batcher: made, calls } = batcher();
    const answers = Array.from({ length: 9 }, (_, index) => made.add(index));
    expect(calls.map(({ items }) => items)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(made.size).toBe(9);
    calls[0]?.end();
    await eventually(() => expect(calls).toHaveLength(3));
    for (const call of calls) call.end();
    expect(await Promise.all(answers)).toHaveLength(9);
  });

  test("a call that fails fails its own items alone", async () => {
    const { batcher: made, calls } = batcher({ sizeMax: () => 1 });
    const answers = [made.add(1), made.add(2)];
    calls[0]?.fail(new Error("no"));
    calls[1]?.end();
    expect(await Promise.allSettled(answers)).toMatchObject([
      { status: "rejected" },
      { status: "fulfilled", value: "r2" },
    ]);
  });

  test("refuses what is too much to wait", async () => {
    const { batcher: made, calls } = batcher({ sizeMax: () => 1, inFlightMax: 1, waitingMax: 1 });
    const answers = [made.add(1), made.add(2)];
    expect(made.add(3)).rejects.toBeInstanceOf(BatcherFullError);
    calls[0]?.end();
    await eventually(() => expect(calls).toHaveLength(2));
    calls[1]?.end();
    expect(await Promise.all(answers)).toEqual(["r1", "r2"]);
  });

  test("drain does not wait for time, and waits for what is added meanwhile", async () => {
    const { batcher: made, calls } = batcher({ inFlightMax: 1 });
    const first = made.add(1);
    let isDrained = false;
    const drained = made.drain().then(() => (isDrained = true));
    expect(calls).toHaveLength(1);
    const second = made.add(2);
    calls[0]?.end();
    await first;
    await eventually(() => expect(calls).toHaveLength(2));
    expect(isDrained).toBe(false);
    calls[1]?.end();
    await Promise.all([drained, second]);
  });

  test("answers every item once, in order, whatever the bounds", async () => {
    const bounds = fc.record({
      items: fc.integer({ min: 0, max: 60 }),
      sizeMax: fc.integer({ min: 1, max: 7 }),
      inFlightMax: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(bounds, async ({ items, sizeMax, inFlightMax }) => {
        let underWay = 0;
        const seen: number[] = [];
        const made = new Batcher<number, number>({
          clock: new ManualClock(),
          sizeMax: () => sizeMax,
          lingerMs: 0,
          inFlightMax,
          waitingMax: 1_000,
          async run(batch) {
            underWay += 1;
            expect(underWay).toBeLessThanOrEqual(inFlightMax);
            expect(batch.length).toBeLessThanOrEqual(sizeMax);
            await Promise.resolve();
            seen.push(...batch);
            underWay -= 1;
            return batch.map((item) => item * 2);
          },
        });
        const given = Array.from({ length: items }, (_, index) => index);
        const answers = Promise.all(given.map((item) => made.add(item)));
        await made.drain();
        expect(await answers).toEqual(given.map((item) => item * 2));
        expect(seen.toSorted((a, b) => a - b)).toEqual(given);
      }),
    );
  });
});
