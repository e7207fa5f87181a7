import { expect, test } from "bun:test";
import { DomainError } from "../../src/domain/error.ts";
import type { UserId } from "../../src/domain/ids.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { Entrance } from "../../src/publish/entrance.ts";
import { GiveWay } from "../../src/publish/give-way.ts";

const user = (name: string) => name as UserId;
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** An entrance whose statements end when the test says so. */
function entrance(lagMs = 0, options: { groupMax?: number; groupsInFlightMax?: number } = {}) {
  const clock = new ManualClock();
  const giveWay = new GiveWay({ clock, lagMs: () => lagMs, calmestLagMs: () => 0 });
  const statements: { group: readonly string[]; end: () => void; fail: (error: Error) => void }[] = [];
  const entered = new Entrance<string, string>({
    clock,
    giveWay,
    groupMax: 100,
    groupsInFlightMax: 2,
    ...options,
    accept: (group) =>
      new Promise((resolve, reject) => {
        const end = () => (group.includes("faulty") ? reject(new Error("22021")) : resolve(group));
        statements.push({ group, end, fail: reject });
      }),
    isFaultyValue: (error) => (error as Error).message === "22021",
  });
  const linger = async () => {
    await settle();
    clock.advance(2);
    await settle();
  };
  return { clock, giveWay, entered, statements, linger };
}

test("what an account has beyond its places among everybody's goes in apart", async () => {
  const { clock, entered, statements, linger } = entrance();
  for (let n = 0; n < 60; n += 1) entered.add(user("bursting"), false, `b${n}`).catch(() => {});
  entered.add(user("other"), false, "o").catch(() => {});
  await linger();
  const groups = statements.map(({ group }) => group);
  expect(groups).toHaveLength(2);
  expect(groups.find((group) => group.includes("o"))).toHaveLength(33);
  // The other's arrival is why the burst goes in small pieces.
  expect(groups.find((group) => !group.includes("o"))).toEqual(["b32", "b33", "b34", "b35"]);
  for (let at = 0; at < statements.length; at += 1) {
    statements[at]?.end();
    await linger();
    clock.advance(100);
    await linger();
  }
  const before = statements.length;
  expect(statements.flatMap(({ group }) => group)).toHaveLength(61);
  await linger();
  entered.add(user("bursting"), false, "one more").catch(() => {});
  entered.add(user("other"), false, "p").catch(() => {});
  await linger();
  expect(statements.slice(before).map(({ group }) => group)).toEqual(expect.arrayContaining([["p"], ["one more"]]));
});

test("a wide account's single event waits for nobody's burst", async () => {
  const { entered, statements, linger } = entrance(50);
  for (let n = 0; n < 60; n += 1) entered.add(user("bursting"), true, `b${n}`).catch(() => {});
  await linger();
  entered.add(user("other"), true, "o").catch(() => {});
  // The first thirty-two were no burst yet. The burst's own statement does not end at all.
  for (let turn = 0; turn < 10; turn += 1) {
    for (const { group, end } of statements) if (!group.includes("b32")) end();
    await linger();
  }
  expect(statements.flatMap(({ group }) => group)).toContain("o");
});

test("many busy accounts at once are no bursts: nobody rests", async () => {
  const { giveWay, entered, statements, linger } = entrance(50);
  giveWay.cameBy(user("another"));
  for (let n = 0; n < 200; n += 1) entered.add(user(`busy ${n % 10}`), false, `${n}`).catch(() => {});
  await linger();
  expect(statements.map(({ group }) => group.length)).toEqual([100, 100]);
});

test("a burst goes in one statement at a time, and rests while others are there and it is late", async () => {
  const { clock, giveWay, entered, statements, linger } = entrance(50);
  for (let n = 0; n < 60; n += 1) entered.add(user("wide"), true, `w${n}`).catch(() => {});
  await linger();
  const ofBurst = () => statements.filter(({ group }) => group.some((one) => Number(one.slice(1)) >= 32));
  expect(ofBurst().map(({ group }) => group.length)).toEqual([5]);
  giveWay.cameBy(user("another"));
  clock.advance(10);
  for (const { end } of statements) end();
  await linger();
  expect(ofBurst()).toHaveLength(1);
  clock.advance(100);
  await linger();
  expect(ofBurst().map(({ group }) => group.length)).toEqual([5, 1]);
});

test("a value that is refused fails its own arrival alone", async () => {
  const { entered, statements, linger } = entrance();
  const results = Promise.allSettled(["a", "faulty", "b"].map((one) => entered.add(user(one), false, one)));
  await linger();
  for (let at = 0; at < statements.length; at += 1) {
    statements[at]?.end();
    await linger();
  }
  expect((await results).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(statements.map(({ group }) => group)).toEqual([["a", "faulty", "b"], ["a"], ["faulty"], ["b"]]);
});

test("a burst that has the machine to itself goes in large groups, and never rests", async () => {
  const { clock, entered, statements, linger } = entrance(50);
  for (let n = 0; n < 132; n += 1) entered.add(user("alone"), false, `${n}`).catch(() => {});
  await linger();
  for (let at = 0; at < statements.length; at += 1) {
    statements[at]?.end();
    await linger();
  }
  expect(statements.map(({ group }) => group.length)).toEqual([50, 32, 50]);
  expect(clock.monotonic()).toBeLessThan(new ManualClock().monotonic() + 20);
});

test("bursts of several accounts take turns: a small one does not wait for the end of a large one", async () => {
  const { entered, statements, linger } = entrance(0);
  const done: string[] = [];
  const post = (name: string, count: number) => {
    for (let n = 0; n < count; n += 1) {
      entered.add(user(name), false, `${name} ${n}`).then(
        () => done.push(name),
        () => {},
      );
    }
  };
  post("large", 1_000);
  await linger();
  post("small", 40);
  for (let at = 0; done.filter((name) => name === "small").length < 40; at += 1) {
    statements[at]?.end();
    await linger();
  }
  expect(done.filter((name) => name === "large").length).toBeLessThan(150);
});

test("what is too much to wait is refused to the account that has most of it", async () => {
  const { entered } = entrance();
  let refused = 0;
  for (let n = 0; n < 10_300; n += 1) entered.add(user("large"), false, `${n}`).catch(() => (refused += 1));
  await settle();
  const before = refused;
  expect(before).toBeGreaterThan(0);
  let smallRefused = 0;
  for (let n = 0; n < 100; n += 1) entered.add(user("small"), false, `${n}`).catch(() => (smallRefused += 1));
  await settle();
  expect(smallRefused).toBe(0);
  expect(refused - before).toBeGreaterThanOrEqual(60);
});

test("a database that does not answer is reported to all who waited for it: nobody waits a second time", async () => {
  const { clock, entered, statements, linger } = entrance(0, { groupMax: 1, groupsInFlightMax: 1 });
  const answers = Promise.allSettled([1, 2, 3].map((n) => entered.add(user("one"), false, `${n}`)));
  await linger();
  clock.advance(3_000);
  statements[0]?.fail(new DomainError("unavailable", "no answer within 3000 ms"));
  expect((await answers).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  expect(statements).toHaveLength(1);
});

test.each([
  ["fails at once", 10, false],
  ["gets no answer while others get one", 3_000, true],
])("those behind a statement that %s have their own", async (_, tookMs, isOtherAnswered) => {
  const { clock, entered, statements, linger } = entrance(0, { groupMax: 1, groupsInFlightMax: 2 });
  const answers = Promise.allSettled([1, 2, 3].map((n) => entered.add(user("one"), false, `${n}`)));
  await linger();
  clock.advance(tookMs);
  if (isOtherAnswered) statements[1]?.end();
  await settle();
  statements[0]?.fail(new DomainError("unavailable", "not now"));
  await linger();
  for (const { end } of statements) end();
  expect((await answers).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
});

test("a burst of changes, a statement each, lets another account's next one through", async () => {
  const { entered, statements, linger } = entrance(0, { groupMax: 1, groupsInFlightMax: 4 });
  for (let n = 0; n < 30; n += 1) entered.add(user("busy"), false, `b${n}`).catch(() => {});
  await linger();
  entered.add(user("other"), false, "o").catch(() => {});
  expect(statements).toHaveLength(4);
  for (let at = 0; at < 2; at += 1) {
    statements[at]?.end();
    await linger();
  }
  expect(statements.flatMap(({ group }) => group)).toContain("o");
});
