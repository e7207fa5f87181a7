import { expect, test } from "bun:test";
import { PerUserLimit, PerUserLimitError } from "../../src/lib/per-user-limit.ts";

test("one user's work waits for its own kind alone, and beyond the line it is refused", async () => {
  const limit = new PerUserLimit(2, 1);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  const all = [limit.run("a", work("a1")), limit.run("a", work("a2")), limit.run("a", work("a3"))];
  expect(limit.run("a", work("a4"))).rejects.toBeInstanceOf(PerUserLimitError);
  all.push(limit.run("b", work("b1")));
  await Promise.resolve();
  expect(begun).toEqual(["a1", "a2", "b1"]);
  for (let at = 0; at < 4; at += 1) {
    ends[at]?.();
    await Bun.sleep(0);
  }
  await Promise.all(all);
  expect(begun).toEqual(["a1", "a2", "b1", "a3"]);
  expect(limit.size).toBe(0);
});

test("after work that is followed by a rest its place stays taken; who waited for the work does not wait for the rest", async () => {
  const limit = new PerUserLimit(1);
  const rested = Promise.withResolvers<void>();
  const begun: string[] = [];
  const work = (name: string) => () => {
    begun.push(name);
    return Promise.resolve(name);
  };
  expect(await limit.run("a", work("a1"), () => rested.promise)).toBe("a1");
  const second = limit.run("a", work("a2"), () => undefined);
  await limit.run("b", work("b1"));
  await Bun.sleep(0);
  expect(begun).toEqual(["a1", "b1"]);
  rested.resolve();
  expect(await second).toBe("a2");
  expect(limit.size).toBe(0);
});
