import { expect, test } from "bun:test";
import type { UserId } from "../../src/domain/ids.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { Entrance } from "../../src/publish/entrance.ts";
import { GiveWay } from "../../src/publish/give-way.ts";

const user = (name: string) => name as UserId;
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};

/** An entrance whose statements end when the test says so. */
function entrance(lagMs = 0) {
  const clock = new ManualClock();
  const giveWay = new GiveWay({ clock, lagMs: () => lagMs });
  const statements: { group: readonly string[]; end: () => void }[] = [];
  const entered = new Entrance<string, string>({
    clock,
    giveWay,
    accept: (group) =>
      new Promise((resolve, reject) => {
        const end = () => (group.includes("faulty") ? reject(new Error("22021")) : resolve(group));
        statements.push({ group, end });
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
  const { entered, statements, linger } = entrance();
  for (let n = 0; n < 30; n += 1) entered.add(user("bursting"), false, `b${n}`).catch(() => {});
  entered.add(user("other"), false, "o").catch(() => {});
  await linger();
  const groups = statements.map(({ group }) => group);
  expect(groups).toHaveLength(2);
  expect(groups.find((group) => group.includes("o"))).toHaveLength(9);
  expect(groups.find((group) => !group.includes("o"))).toHaveLength(22);
});

test("wide accounts' events go in by few, one statement at a time, and rest while others are there and it is late", async () => {
  const { clock, giveWay, entered, statements, linger } = entrance(50);
  for (let n = 0; n < 10; n += 1) entered.add(user("wide"), true, `w${n}`).catch(() => {});
  await linger();
  expect(statements.map(({ group }) => group.length)).toEqual([5]);
  giveWay.othersAreThere();
  clock.advance(10);
  statements[0]?.end();
  await linger();
  expect(statements).toHaveLength(1);
  clock.advance(100);
  await linger();
  expect(statements.map(({ group }) => group.length)).toEqual([5, 5]);
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
