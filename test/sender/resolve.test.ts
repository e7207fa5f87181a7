// Names: vetted, shared, remembered, and slow ones held against their own user alone. Time is the test's.

import { expect, test } from "bun:test";
import { RESOLVE_CACHE_MS, RESOLVE_TIMEOUT_MS, RESOLVES_IN_FLIGHT_PER_USER_MAX } from "../../src/domain/limits.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { createAddressGuard } from "../../src/sender/address.ts";
import { createResolver } from "../../src/sender/resolve.ts";

/** A resolver whose name server answers when the test says so. */
function underTest(egressAllow: string[] = []) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const questions = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const resolver = createResolver({
    clock,
    guard: createAddressGuard(egressAllow),
    lookup: (name) => {
      const question = Promise.withResolvers<readonly string[]>();
      asked.push(name);
      questions.set(name, question);
      return question.promise;
    },
  });
  const resolve = (host: string, userId = "user", time = { hasPassed: false }) => resolver.resolve(host, userId, time);
  return { clock, asked, resolver, resolve, question: (name: string) => questions.get(name) };
}

/** Lets everything that is ready to run, run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("all addresses are vetted, IPv4 first, and two are kept", async () => {
  const { resolve, question } = underTest();
  const found = resolve("a.example");
  await settled();
  question("a.example")?.resolve(["2606:4700::1", "8.8.8.8", "8.8.8.8", "2606:4700::2"]);
  expect(await found).toEqual({ kind: "resolved", addresses: ["8.8.8.8", "2606:4700::1"] });
});

test("one address that may not be reached blocks the name, and the reason says which", async () => {
  const { resolve, question } = underTest();
  const found = resolve("a.example");
  await settled();
  question("a.example")?.resolve(["8.8.8.8", "10.0.0.1"]);
  expect(await found).toEqual({
    kind: "blocked",
    reason: "a.example resolves to an address that may not be reached: 10.0.0.1 is a private address",
  });
});

test("lookups of one name are shared, and answers remembered for a while", async () => {
  const { clock, asked, resolve, resolver, question } = underTest();
  const first = resolve("a.example");
  await settled();
  const second = resolve("a.example", "another");
  question("a.example")?.resolve(["8.8.8.8"]);
  expect(await first).toEqual(await second);
  clock.advance(RESOLVE_CACHE_MS - 1);
  expect(resolver.known("a.example")?.kind).toBe("resolved");
  clock.advance(1);
  expect(resolver.known("a.example")).toBeUndefined();
  expect(asked).toEqual(["a.example"]);
});

test("failures are remembered too, and told apart", async () => {
  const { clock, asked, resolve, question } = underTest();
  const fail = async (name: string, code: string) => {
    const found = resolve(name);
    await settled();
    question(name)?.reject(Object.assign(new Error("secret detail"), { code }));
    return found;
  };
  expect(await fail("a.example", "DNS_ENOTFOUND")).toMatchObject({
    kind: "unresolvable",
    reason: expect.stringContaining("has no address"),
  });
  expect(await fail("b.example", "DNS_ESERVFAIL")).toMatchObject({
    kind: "unresolvable",
    reason: expect.stringContaining("could not be looked up"),
  });
  expect(await fail("c.example", "DNS_ETIMEOUT")).toMatchObject({ kind: "timeout" });
  expect(await resolve("a.example")).toMatchObject({ kind: "unresolvable" });
  const late = resolve("d.example");
  await settled();
  clock.advance(RESOLVE_TIMEOUT_MS);
  expect(await late).toEqual({ kind: "timeout", reason: "the name servers of d.example did not answer in time" });
  expect(await resolve("d.example")).toMatchObject({ kind: "timeout" });
  expect(asked).toHaveLength(4);
});

test("names that are never answered hold up their own user alone", async () => {
  const { clock, asked, resolve, question } = underTest();
  const dead = Array.from({ length: 100 }, (_, index) => resolve(`dead${index}.example`, "slow"));
  await settled();
  expect(asked).toHaveLength(RESOLVES_IN_FLIGHT_PER_USER_MAX);
  const healthy = resolve("ok.example", "healthy");
  await settled();
  question("ok.example")?.resolve(["8.8.8.8"]);
  expect((await healthy).kind).toBe("resolved");
  for (let round = 0; round < 13; round += 1) {
    clock.advance(RESOLVE_TIMEOUT_MS);
    await settled();
  }
  expect((await Promise.all(dead)).every(({ kind }) => kind === "timeout")).toBe(true);
  expect(asked).toHaveLength(101);
});

test("whoever gave up waiting for a turn asks nobody", async () => {
  const { clock, asked, resolve } = underTest();
  const dead = Array.from({ length: RESOLVES_IN_FLIGHT_PER_USER_MAX }, (_, index) => resolve(`dead${index}.example`));
  const time = { hasPassed: false };
  const given = resolve("later.example", "user", time);
  time.hasPassed = true;
  await settled();
  clock.advance(RESOLVE_TIMEOUT_MS);
  expect(await given).toMatchObject({ kind: "timeout" });
  await Promise.all(dead);
  expect(asked).not.toContain("later.example");
});

test("localhost is this machine without asking anybody; the allowed one of its addresses will do", () => {
  const known = (allow: string[], host: string) => underTest(allow).resolver.known(host);
  expect(known([], "localhost")).toMatchObject({ kind: "blocked" });
  expect(known(["127.0.0.0/8"], "a.localhost")).toEqual({ kind: "resolved", addresses: ["127.0.0.1"] });
  expect(known(["127.0.0.0/8", "::1"], "localhost")).toEqual({ kind: "resolved", addresses: ["127.0.0.1", "::1"] });
});

test("the real resolver answers what /etc/hosts says, and it is judged like everything else", async () => {
  const resolver = createResolver({ clock: new ManualClock(), guard: createAddressGuard([]) });
  const hosts = (await Bun.file("/etc/hosts").text()).matchAll(/^127\.\S+\s+([a-z0-9.-]+)/gm);
  for (const [, name = ""] of hosts)
    expect((await resolver.resolve(name, "user", { hasPassed: false })).kind).toBe("blocked");
});
