import { expect, test } from "bun:test";
import fc from "fast-check";
import { Semaphore } from "../../src/lib/semaphore.ts";

test("never lets in more than its permits, and serves those who wait in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 30 }), async (permits, callers) => {
      const semaphore = new Semaphore(permits);
      const order: number[] = [];
      let inside = 0;
      const calls = Array.from({ length: callers }, async (_, caller) => {
        await semaphore.acquire();
        inside += 1;
        expect(inside).toBeLessThanOrEqual(permits);
        order.push(caller);
        await Promise.resolve();
        inside -= 1;
        semaphore.release();
      });
      expect(semaphore.waiting).toBe(Math.max(0, callers - permits));
      await Promise.all(calls);
      expect(order).toEqual(Array.from({ length: callers }, (_, caller) => caller));
      expect(semaphore.waiting).toBe(0);
    }),
  );
});

test("tryAcquire says no instead of waiting", () => {
  const semaphore = new Semaphore(1);
  expect(semaphore.tryAcquire()).toBe(true);
  expect(semaphore.tryAcquire()).toBe(false);
  semaphore.release();
  expect(semaphore.tryAcquire()).toBe(true);
});
