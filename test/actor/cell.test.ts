import { describe, expect, test } from "bun:test";
import { Cell } from "../../src/actor/cell.ts";
import { ManualClock } from "../../src/lib/clock.ts";

/** Yields until every promise that can settle without time has settled. */
const settle = async () => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};

function actor(concurrency = 1) {
  const behaviour = { concurrency };
  const clock = new ManualClock();
  const handled: string[] = [];
  const crashes: string[] = [];
  let readied = 0;
  let created = 0;
  const pending = new Map<string, PromiseWithResolvers<void>>();
  const cell = new Cell<string, "lane", string>({
    key: "key",
    clock,
    create: () => {
      created += 1;
      return {
        concurrency: () => behaviour.concurrency,
        handle(message) {
          handled.push(message);
          const end = Promise.withResolvers<void>();
          pending.set(message, end);
          return end.promise;
        },
      };
    },
    onReady: () => (readied += 1),
    onCrash: (_, message) => crashes.push(message),
  });
  return {
    cell,
    clock,
    behaviour,
    handled,
    crashes,
    get readied() {
      return readied;
    },
    get created() {
      return created;
    },
    end: async (message: string) => {
      pending.get(message)?.resolve();
      await settle();
    },
    crash: async (message: string) => {
      pending.get(message)?.reject(new Error("crash"));
      await settle();
    },
  };
}

describe("Cell", () => {
  test("says that it is ready, and handles in order, one at a time", async () => {
    const { cell, handled, end, ...rest } = actor();
    cell.tell("lane", "a");
    cell.tell("lane", "b");
    expect(cell.step("lane")).toBeInstanceOf(Promise);
    expect(cell.hasCapacity).toBe(false);
    expect(handled).toEqual(["a"]);
    await end("a");
    expect(cell.hasCapacity).toBe(true);
    cell.step("lane")?.catch(() => {});
    expect(handled).toEqual(["a", "b"]);
    expect(cell.step("lane")).toBe(undefined);
    expect(rest.crashes).toEqual([]);
  });

  test("is told to be ready again at the end of a step, while something waits", async () => {
    const one = actor();
    one.cell.tell("lane", "a");
    one.cell.step("lane")?.catch(() => {});
    one.cell.tell("lane", "b");
    expect(one.readied).toBe(1);
    await one.end("a");
    expect(one.readied).toBe(2);
  });

  test("handles as many at once as its behaviour says", () => {
    const { cell, handled } = actor(3);
    for (const message of ["a", "b", "c", "d"]) cell.tell("lane", message);
    while (cell.hasCapacity) cell.step("lane")?.catch(() => {});
    expect(handled).toEqual(["a", "b", "c"]);
  });

  test("looks again when it is told to: it is ready if its behaviour has more capacity by now", () => {
    const one = actor();
    one.cell.lookAgain();
    one.cell.tell("lane", "a");
    one.cell.step("lane")?.catch(() => {});
    one.cell.tell("lane", "b");
    one.cell.lookAgain();
    expect(one.readied).toBe(1);
    one.behaviour.concurrency = 2;
    one.cell.lookAgain();
    expect(one.readied).toBe(2);
  });

  test("a crash reports the message, keeps the others, and pauses until a new behaviour takes over", async () => {
    const one = actor();
    one.cell.tell("lane", "a");
    one.cell.tell("lane", "b");
    one.cell.step("lane")?.catch(() => {});
    await one.crash("a");
    expect(one.crashes).toEqual(["a"]);
    expect(one.cell.mailbox.size).toBe(1);
    expect(one.cell.hasCapacity).toBe(false);
    one.cell.tell("lane", "c");
    expect(one.readied).toBe(2);
    expect(one.created).toBe(1);
    one.clock.advance(100);
    expect(one.created).toBe(2);
    expect(one.readied).toBe(3);
    one.cell.step("lane")?.catch(() => {});
    expect(one.handled).toEqual(["a", "b"]);
  });

  test("pauses twice as long after each crash in a row, and starts over after a success", async () => {
    const one = actor();
    const pauses: number[] = [];
    for (const message of ["a", "b", "c"]) {
      one.cell.tell("lane", message);
      one.cell.step("lane")?.catch(() => {});
      await one.crash(message);
      let pause = 0;
      for (; !one.cell.hasCapacity; pause += 100) one.clock.advance(100);
      pauses.push(pause);
    }
    expect(pauses).toEqual([100, 200, 400]);
    one.cell.tell("lane", "d");
    one.cell.step("lane")?.catch(() => {});
    await one.end("d");
    one.cell.tell("lane", "e");
    one.cell.step("lane")?.catch(() => {});
    await one.crash("e");
    one.clock.advance(100);
    expect(one.cell.hasCapacity).toBe(true);
  });

  test("is idle only when nothing waits, nothing is in its hands, it is not paused, and for a while", async () => {
    const { cell, clock, end, crash } = actor();
    const now = () => clock.monotonic();
    cell.tell("lane", "a");
    expect(cell.isIdleSince(now())).toBe(false);
    cell.step("lane")?.catch(() => {});
    expect(cell.isIdleSince(now())).toBe(false);
    clock.advance(50);
    await end("a");
    expect(cell.isIdleSince(now() - 1)).toBe(false);
    expect(cell.isIdleSince(now())).toBe(true);
    cell.tell("lane", "b");
    cell.step("lane")?.catch(() => {});
    await crash("b");
    expect(cell.isIdleSince(now() + 1_000)).toBe(false);
  });

  test("tells for how long its steps have been under way without one of them ending", async () => {
    const { cell, clock, end } = actor(2);
    for (const message of ["a", "b", "c"]) cell.tell("lane", message);
    clock.advance(50);
    expect(cell.stalledMs).toBe(0);
    cell.step("lane")?.catch(() => {});
    clock.advance(200);
    cell.step("lane")?.catch(() => {});
    clock.advance(300);
    expect([cell.stalledMs, cell.lastStepMs]).toEqual([500, undefined]);
    await end("b");
    expect([cell.stalledMs, cell.lastStepMs]).toEqual([0, 300]);
    clock.advance(40);
    cell.step("lane")?.catch(() => {});
    expect(cell.stalledMs).toBe(40);
    await end("a");
    await end("c");
    clock.advance(60);
    expect(cell.stalledMs).toBe(0);
  });
});
