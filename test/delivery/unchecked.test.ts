// Rule 3: only the first delivery of a fresh message that the API published, during this tenure and this connection, may
// be sent without looking at its row.

import { expect, test } from "bun:test";
import { maySendUnchecked } from "../../src/delivery/intake.ts";
import type { Held } from "../../src/delivery/ports.ts";
import { UNCHECKED_AGE_MS } from "../../src/domain/limits.ts";

const NOW = 1_800_000_000_000;

type Parts = {
  deliveryCount?: number;
  storedAt?: number;
  seq?: number;
  origin?: "accept" | "refill";
  generation?: number;
  pendingSince?: number;
  publishedAfterSeq?: number;
};

function heldWith(parts: Parts): Held {
  const fresh = {
    message: {
      origin: parts.origin ?? "accept",
      generation: parts.generation ?? 0,
      pendingSince: parts.pendingSince ?? NOW,
    },
    handle: { seq: parts.seq ?? 10, deliveryCount: parts.deliveryCount ?? 1, storedAt: parts.storedAt ?? NOW },
    tenure: { publishedAfterSeq: parts.publishedAfterSeq ?? 9 },
  };
  return fresh as unknown as Held;
}

test("a fresh first delivery may", () => expect(maySendUnchecked(heldWith({}), NOW)).toBe(true));

test.each([
  ["a redelivery", { deliveryCount: 2 }],
  ["a refilled message", { origin: "refill" }],
  ["one that has been in the table before", { generation: 1 }],
  ["one that was accepted a while ago", { pendingSince: NOW - UNCHECKED_AGE_MS }],
  ["one that has been in the stream for a while", { storedAt: NOW - UNCHECKED_AGE_MS }],
  ["one from before this tenure or connection", { seq: 9 }],
  ["any, while the stream has not been looked at", { publishedAfterSeq: Number.POSITIVE_INFINITY }],
] as const)("%s may not", (_, parts) => expect(maySendUnchecked(heldWith(parts), NOW)).toBe(false));
