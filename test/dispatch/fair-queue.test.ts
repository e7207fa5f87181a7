import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FairQueue } from "../../src/dispatch/fair-queue.ts";
import { PRIORITIES, PRIORITY_WEIGHTS, type Priority } from "../../src/domain/priority.ts";

type Endpoint = { user: string; name: string };

const endpoint = (user: string, name = user): Endpoint => ({ user, name });
const queueOf = (...waiting: [Priority, Endpoint][]) => {
  const queue = new FairQueue<Priority, Endpoint>(PRIORITY_WEIGHTS, ({ user }) => user);
  for (const [lane, candidate] of waiting) queue.add(lane, candidate);
  return queue;
};
const turns = (queue: FairQueue<Priority, Endpoint>, count: number) =>
  Array.from({ length: count }, () => queue.next()).filter((turn) => turn !== undefined);
const countBy = <Item>(items: Item[], key: (item: Item) => string) =>
  new Map([...Map.groupBy(items, key)].map(([name, group]) => [name, group.length]));

describe("lanes", () => {
  test("share saturated turns 8 : 4 : 1, within 10 % over any 200 turns", () => {
    const queue = queueOf(["high", endpoint("a")], ["normal", endpoint("a")], ["low", endpoint("b")]);
    const served = turns(queue, 2_000);
    for (let start = 0; start + 200 <= served.length; start += 50) {
      const counts = countBy(served.slice(start, start + 200), ({ lane }) => lane);
      for (const lane of PRIORITIES) {
        const share = (200 * PRIORITY_WEIGHTS[lane]) / 13;
        expect(Math.abs((counts.get(lane) ?? 0) - share)).toBeLessThanOrEqual(Math.max(share * 0.1, 1));
      }
    }
  });

  test("that are idle leave their turns to the others", () => {
    const lanes = fc.subarray([...PRIORITIES], { minLength: 1 });
    fc.assert(
      fc.property(lanes, (busy) => {
        const queue = queueOf(...busy.map((lane): [Priority, Endpoint] => [lane, endpoint("a")]));
        const served = turns(queue, 1_300);
        expect(served).toHaveLength(1_300);
        const total = busy.reduce((sum, lane) => sum + PRIORITY_WEIGHTS[lane], 0);
        const counts = countBy(served, ({ lane }) => lane);
        for (const lane of busy) {
          const share = (1_300 * PRIORITY_WEIGHTS[lane]) / total;
          expect(Math.abs((counts.get(lane) ?? 0) - share)).toBeLessThanOrEqual(share * 0.1 + 1);
        }
      }),
    );
  });
});

describe("within a lane", () => {
  test("users take turns, however many endpoints each has", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, (endpoints) => {
        const all = endpoints.flatMap((count, user) =>
          Array.from({ length: count }, (_, index) => endpoint(`u${user}`, `u${user}e${index}`)),
        );
        const queue = queueOf(...all.map((one): [Priority, Endpoint] => ["high", one]));
        const served = turns(queue, endpoints.length * 30).map(({ candidate }) => candidate);
        served.forEach(({ user }, index) => expect(user).toBe(`u${index % endpoints.length}`));
        for (const [user, own] of Map.groupBy(served, (one) => one.user)) {
          const mine = endpoints[Number(user.slice(1))] ?? 0;
          // Its endpoints take turns as well: every `mine` turns, each of them has had one.
          for (let start = 0; start + mine <= own.length; start += mine) {
            expect(new Set(own.slice(start, start + mine)).size).toBe(mine);
          }
        }
      }),
    );
  });
});

describe("any sequence of arrivals and departures", () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "delete", "next", "next"),
    lane: fc.constantFrom(...PRIORITIES),
    user: fc.integer({ min: 0, max: 3 }),
    index: fc.integer({ min: 0, max: 2 }),
  });

  test("a turn goes to somebody who wants it, if anybody does, and nobody waits for ever", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const known = new Map<string, Endpoint>();
        const waiting = new Map<string, { lane: Priority; candidate: Endpoint; passed: number }>();
        const queue = queueOf();
        for (const { kind, lane, user, index } of steps) {
          const name = `u${user}e${index}`;
          const candidate = known.get(name) ?? endpoint(`u${user}`, name);
          known.set(name, candidate);
          const key = `${lane} ${name}`;
          if (kind === "add") {
            queue.add(lane, candidate);
            if (!waiting.has(key)) waiting.set(key, { lane, candidate, passed: 0 });
          } else if (kind === "delete") {
            queue.delete(lane, candidate);
            waiting.delete(key);
          } else {
            const turn = queue.next();
            expect(turn === undefined).toBe(waiting.size === 0);
            if (turn === undefined) continue;
            const served = `${turn.lane} ${turn.candidate.name}`;
            expect(waiting.has(served)).toBe(true);
            for (const [other, one] of waiting) {
              one.passed = other === served ? 0 : one.passed + 1;
              // 12 candidates a lane at most, of 4 users; the lane `low` has one turn in 13.
              expect(one.passed).toBeLessThan(13 * 12 * 4);
            }
          }
        }
      }),
    );
  });

  test("asking twice is asking once, and who has left is not served", () => {
    const one = endpoint("a");
    const queue = queueOf(["high", one], ["high", one]);
    queue.delete("high", one);
    expect(queue.next()).toBe(undefined);
  });
});
