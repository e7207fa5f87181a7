import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { newId, type WebhookId } from "../../src/domain/ids.ts";
import { ALL_PARTITIONS, partitionName, partitionOf } from "../../src/domain/partition.ts";

describe("partitionOf", () => {
  test("is FNV-1a modulo 8", () => {
    // From the reference implementation: fnv1a_32("") = 0x811c9dc5, ("a") = 0xe40c292c, ("foobar") = 0xbf9cf968.
    expect(partitionOf("" as WebhookId)).toBe(0x5);
    expect(partitionOf("a" as WebhookId)).toBe(0x4);
    expect(partitionOf("foobar" as WebhookId)).toBe(0x0);
  });

  test("is a partition, and always the same one, for every id", () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(ALL_PARTITIONS).toContain(partitionOf(id as WebhookId));
        expect(partitionOf(id as WebhookId)).toBe(partitionOf(id as WebhookId));
      }),
    );
  });

  test("spreads ids that were made one after the other", () => {
    const counts = new Map<number, number>();
    for (let made = 0; made < 8_000; made += 1) {
      const partition = partitionOf(newId<WebhookId>());
      counts.set(partition, (counts.get(partition) ?? 0) + 1);
    }
    for (const partition of ALL_PARTITIONS) {
      expect(counts.get(partition)).toBeGreaterThan(800);
      expect(counts.get(partition)).toBeLessThan(1_200);
    }
  });
});

test("partitions are named p00 to p07", () => {
  expect(ALL_PARTITIONS.map(partitionName).join(" ")).toBe("p00 p01 p02 p03 p04 p05 p06 p07");
});
