// A worker's key, as an operator reads it in the bucket.

import { expect, test } from "bun:test";
import { RENEW_INTERVAL_MS } from "../../src/domain/lease.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { Ownership } from "../../src/stream/ownership.ts";
import type { OwnersStore } from "../../src/stream/owners-bucket.ts";

test("says since when the worker is there, however often it is renewed", async () => {
  const clock = new ManualClock();
  const cameAt = new Date(clock.now()).toISOString();
  const written: string[] = [];
  const store: OwnersStore = {
    async write(_, value) {
      written.push(JSON.parse(value).since);
      return written.length;
    },
    remove: async () => true,
    read: async () => undefined,
    createdAt: async () => "then",
    watch: () => ({ stop: () => {} }),
  };
  const ownership = new Ownership({
    store,
    clock,
    workerId: "worker",
    identity: undefined,
    attemptTimeoutMs: 15_000,
    isAble: () => true,
    events: { gained: () => {}, release: async () => {}, lost: () => {}, takenOver: () => {} },
    onTrouble: () => {},
  });
  await ownership.start();
  // Nothing is claimed: the presence is all that is written.
  ownership.bucketIs({ createdAt: "then", claimNotBefore: Number.POSITIVE_INFINITY });
  for (let renewal = 0; renewal < 3; renewal += 1) clock.advance(RENEW_INTERVAL_MS);
  await ownership.stop();
  expect(written.length).toBeGreaterThan(3);
  expect(new Set(written)).toEqual(new Set([cameAt]));
});
