import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Cell } from "../../src/actor/cell.ts";
import { Dispatcher } from "../../src/dispatch/dispatcher.ts";
import { SLOW_AFTER_MS, SLOW_REQUESTS_PER_USER_MAX } from "../../src/dispatch/slots.ts";
import { PRIORITIES, PRIORITY_WEIGHTS, type Priority } from "../../src/domain/priority.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { seededRandom } from "../../src/lib/random.ts";

type Key = { user: string };
type Message = { endpoint: string; lane: Priority };

/** A worker without Postgres and NATS: messages are told to cells, and the test ends their handling. */
function worker(slots: number, concurrency = 1, clock = new ManualClock()) {
  const cells = new Map<string, Cell<Key, Priority, Message>>();
  const underWay: { message: Message; end: () => void }[] = [];
  const started: Message[] = [];
  let isOpen = true;
  const withoutMemory = new Set<string>();
  const dispatcher = new Dispatcher<Key, Priority, Message>({
    clock,
    userOf: ({ user }) => user,
    weights: PRIORITY_WEIGHTS,
    slots,
    mayStart: () => isOpen,
    hasMemory: (user, isFast) => !withoutMemory.has(`${user} ${isFast ? "fast" : "slow"}`),
  });
  const tell = (user: string, endpoint: string, lane: Priority) => {
    let cell = cells.get(endpoint);
    if (cell === undefined) {
      cell = new Cell<Key, Priority, Message>({
        key: { user },
        clock,
        create: () => ({
          concurrency: () => concurrency,
          handle: (message) =>
            new Promise<void>((resolve) => {
              started.push(message);
              underWay.push({ message, end: resolve });
            }),
        }),
        onReady: (ready) => dispatcher.ready(ready),
        onCrash: () => {},
      });
      cells.set(endpoint, cell);
    }
    cell.tell(lane, { endpoint, lane });
    clock.advance(0);
  };
  const endOne = async (index = 0) => {
    underWay.splice(index, 1)[0]?.end();
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
    clock.advance(0);
  };
  const open = (isNow: boolean) => (isOpen = isNow);
  return { clock, dispatcher, cells, underWay, started, tell, endOne, open, withoutMemory };
}

describe("Dispatcher", () => {
  test("begins 64 requests in one turn of the event loop, or one where a new connection is likely", async () => {
    const turns: (() => void)[] = [];
    class TurnByTurn extends ManualClock {
      override soon(run: () => void): void {
        turns.push(run);
      }
    }
    const { tell, started, endOne, underWay } = worker(256, 1, new TurnByTurn());
    const tellAll = () => {
      for (let endpoint = 0; endpoint < 100; endpoint += 1) tell(`user ${endpoint}`, `endpoint ${endpoint}`, "high");
    };
    tellAll();
    expect(started).toHaveLength(0);
    for (let turn = 1; turn <= 100; turn += 1) {
      turns.shift()?.();
      expect(started).toHaveLength(turn);
    }
    while (underWay.length > 0) await endOne();
    turns.shift()?.();
    expect(turns).toHaveLength(0);
    // Now they are known to be fast.
    tellAll();
    turns.shift()?.();
    expect(started).toHaveLength(164);
    turns.shift()?.();
    expect(started).toHaveLength(200);
    expect(turns).toHaveLength(0);
  });

  test("a place in the slow pool that becomes free is asked for by one of each user, not by all that wait", async () => {
    const clock = new ManualClock();
    const { tell, endOne, cells, started, underWay } = worker(1, 1, clock);
    const endpoints = Array.from({ length: SLOW_REQUESTS_PER_USER_MAX + 50 }, (_, number) => `slow ${number}`);
    for (const endpoint of endpoints) {
      tell("ada", endpoint, "high");
      clock.advance(SLOW_AFTER_MS + 50);
      await endOne();
    }
    expect([...cells.values()].every(({ lastStepMs = 0 }) => lastStepMs > SLOW_AFTER_MS)).toBe(true);
    started.length = 0;
    for (const endpoint of endpoints) tell("ada", endpoint, "high");
    expect(started).toHaveLength(SLOW_REQUESTS_PER_USER_MAX);
    let asked = 0;
    for (const cell of cells.values()) {
      const has = cell.mailbox.has.bind(cell.mailbox);
      cell.mailbox.has = (lane) => {
        asked += 1;
        return has(lane);
      };
    }
    for (let end = 1; end <= 50; end += 1) {
      await endOne();
      expect(started).toHaveLength(SLOW_REQUESTS_PER_USER_MAX + end);
    }
    expect(asked).toBeLessThan(50 * 10);
    expect(underWay).toHaveLength(SLOW_REQUESTS_PER_USER_MAX);
  });

  test("one that turns out slow while it waits for memory keeps no fast one of its user waiting", async () => {
    const { clock, tell, endOne, started, withoutMemory } = worker(10, 2);
    for (const endpoint of ["a", "b"]) {
      tell("u", endpoint, "high");
      await endOne();
    }
    tell("u", "a", "high");
    withoutMemory.add("u fast").add("u slow");
    tell("u", "a", "high");
    tell("u", "b", "high");
    expect(started.map(({ endpoint }) => endpoint)).toEqual(["a", "b", "a"]);
    clock.advance(1_000);
    withoutMemory.delete("u fast");
    await endOne();
    expect(started.map(({ endpoint }) => endpoint)).toEqual(["a", "b", "a", "b"]);
  });

  test("starts no more than its slots, and one per endpoint", async () => {
    const { dispatcher, underWay, tell, endOne } = worker(2);
    for (const endpoint of ["a", "b", "c"]) for (let n = 0; n < 2; n += 1) tell(`user ${endpoint}`, endpoint, "high");
    expect(underWay.map(({ message }) => message.endpoint)).toEqual(["a", "b"]);
    expect(dispatcher.inFlight).toBe(2);
    await endOne();
    expect(underWay.map(({ message }) => message.endpoint)).toEqual(["b", "c"]);
  });

  test("starts nothing while it may not, and everything once it is poked", () => {
    const { clock, dispatcher, underWay, tell, open } = worker(8);
    open(false);
    tell("user", "a", "high");
    expect(underWay).toHaveLength(0);
    open(true);
    dispatcher.poke();
    clock.advance(0);
    expect(underWay).toHaveLength(1);
  });

  test("a user without memory for more waits for the end of a request, its fast endpoints behind none of its slow ones", async () => {
    const { underWay, tell, endOne, withoutMemory, started } = worker(8);
    tell("hog", "quick", "high");
    await endOne();
    for (const pace of ["fast", "slow"]) withoutMemory.add(`hog ${pace}`);
    tell("hog", "new", "high");
    tell("hog", "quick", "high");
    tell("small", "other", "high");
    tell("small", "another", "high");
    expect(underWay.map(({ message }) => message.endpoint)).toEqual(["other", "another"]);
    withoutMemory.delete("hog fast");
    await endOne();
    expect(underWay.map(({ message }) => message.endpoint)).toEqual(["another", "quick"]);
    withoutMemory.clear();
    await endOne();
    expect(started.at(-1)?.endpoint).toBe("new");
  });

  test("one slow endpoint with a long mailbox leaves the slots to the others", async () => {
    const { started, tell, endOne, underWay } = worker(2);
    for (let n = 0; n < 100; n += 1) tell("hog", "slow", "high");
    for (let n = 0; n < 10; n += 1) tell("small", "quick", "high");
    for (let n = 0; n < 10; n += 1) await endOne(underWay.findIndex(({ message }) => message.endpoint === "quick"));
    expect(started.filter(({ endpoint }) => endpoint === "quick")).toHaveLength(10);
    expect(started.filter(({ endpoint }) => endpoint === "slow")).toHaveLength(1);
  });

  test("gives lanes of many endpoints 8 : 4 : 1 of the starts, within 10 %", async () => {
    const { started, tell, endOne } = worker(4);
    for (const lane of PRIORITIES) {
      for (let endpoint = 0; endpoint < 20; endpoint += 1) {
        for (let n = 0; n < 100; n += 1) tell(`${lane}${endpoint}`, `${lane}${endpoint}`, lane);
      }
    }
    for (let n = 0; n < 1_300; n += 1) await endOne();
    const counts = Map.groupBy(started.slice(0, 1_300), ({ lane }) => lane);
    for (const lane of PRIORITIES) {
      const share = 100 * PRIORITY_WEIGHTS[lane];
      expect(Math.abs((counts.get(lane)?.length ?? 0) - share)).toBeLessThanOrEqual(share * 0.1);
    }
  });

  test("everything told is handled once, and at most `concurrency` of an endpoint at once, in any order of ends", async () => {
    const cases = fc.record({
      seed: fc.integer(),
      slots: fc.integer({ min: 1, max: 6 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      messages: fc.integer({ min: 0, max: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ seed, slots, concurrency, messages }) => {
        const random = seededRandom(seed);
        const { dispatcher, started, tell, endOne, underWay, cells } = worker(slots, concurrency);
        const pick = (count: number) => Math.floor(random() * count);
        let told = 0;
        while (told < messages || underWay.length > 0) {
          if (told < messages && random() < 0.5) {
            const endpoint = pick(5);
            tell(`u${endpoint % 2}`, `e${endpoint}`, PRIORITIES[pick(3)] ?? "high");
            told += 1;
          } else await endOne(pick(underWay.length));
          expect(dispatcher.inFlight).toBeLessThanOrEqual(slots);
          for (const own of Map.groupBy(underWay, ({ message }) => message.endpoint).values()) {
            expect(own.length).toBeLessThanOrEqual(concurrency);
          }
          // Work-conserving: a free slot means that nobody who waits, and is known to be fast, could be served.
          const hungry = [...cells.values()].some(
            (cell) => cell.mailbox.size > 0 && cell.hasCapacity && cell.lastStepMs !== undefined,
          );
          expect(hungry && dispatcher.inFlight < slots).toBe(false);
        }
        expect(started).toHaveLength(messages);
      }),
    );
  });
});
