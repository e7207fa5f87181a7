// Gates in memory, against what the table says.

import { describe, expect, test } from "bun:test";
import { type CircuitChange, Circuits, type StoredCircuit } from "../../src/delivery/circuits.ts";
import { CLOSED } from "../../src/domain/circuit.ts";
import type { WebhookId } from "../../src/domain/ids.ts";
import { ENDPOINT_FAILING_MAX_MS } from "../../src/domain/limits.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const webhook = { webhookId: "01900000-0000-7000-8000-000000000001" as WebhookId, url: "https://example.com/" };
const moved = { ...webhook, url: "https://example.com/new" };
const answered = (statusCode: number, retryAfterMs: number | null = null): Outcome => {
  const answer = { statusCode, responseBody: null, retryAfterMs };
  return statusCode < 300
    ? { kind: "accepted", answer, latencyMs: 1 }
    : { kind: "failed", stage: "response", error: `HTTP ${statusCode}`, answer, latencyMs: 1 };
};

function started() {
  const clock = new ManualClock();
  const saved: CircuitChange[] = [];
  const savedOf: object[] = [];
  const noted: (readonly WebhookId[])[] = [];
  const circuits = new Circuits({
    clock,
    observe: () => {},
    save: async (target, change) => {
      savedOf.push(target);
      saved.push(change);
    },
    noteSuccesses: async (webhookIds) => {
      noted.push(webhookIds);
    },
  });
  /** A write follows the one before it. */
  const written = () => Bun.sleep(0);
  const fail = (times: number) => {
    for (let failure = 0; failure < times; failure += 1) circuits.tell(webhook, answered(500), false);
  };
  const load = (stored: StoredCircuit, askedAt = clock.monotonic(), target = webhook) =>
    circuits.load(target, stored, askedAt);
  return { clock, circuits, saved, savedOf, noted, written, fail, load };
}

const WELL: StoredCircuit = { circuit: CLOSED, gateOpensInMs: 0, failingForMs: null };

describe("a gate", () => {
  test("is open for an endpoint of which nothing is known, and writes nothing while all is well", () => {
    const { circuits, saved } = started();
    expect(circuits.ask(webhook)).toBe("open");
    circuits.tell(webhook, answered(200), false);
    expect(saved).toEqual([]);
  });

  test("is shut by five failures in a row, then lets one probe through at a time", async () => {
    const { clock, circuits, saved, written, fail } = started();
    fail(5);
    expect(circuits.ask(webhook)).toBe("shut");
    expect(saved).toHaveLength(1);
    clock.advance(1_000);
    expect(circuits.ask(webhook)).toBe("probe");
    expect(circuits.ask(webhook)).toBe("shut");
    circuits.withdrawProbe(webhook);
    expect(circuits.ask(webhook)).toBe("probe");
    circuits.tell(webhook, answered(200), true);
    expect(circuits.ask(webhook)).toBe("open");
    await written();
    expect(saved.at(-1)).toEqual({ circuit: CLOSED, shutForMs: 0, isFailing: false });
  });

  test("is shut for the time that a 429 names, though the circuit stays closed", () => {
    const { clock, circuits, saved } = started();
    circuits.tell(webhook, answered(429, 7_000), false);
    expect(circuits.ask(webhook)).toBe("shut");
    expect(saved).toHaveLength(1);
    clock.advance(7_000);
    expect(circuits.ask(webhook)).toBe("open");
  });

  test("that a 429 has shut stays shut when a request that was under way beside it succeeds", () => {
    const { clock, circuits } = started();
    circuits.tell(webhook, answered(429, 7_000), false);
    circuits.tell(webhook, answered(200), false);
    expect(circuits.ask(webhook)).toBe("shut");
    clock.advance(7_000);
    expect(circuits.ask(webhook)).toBe("open");
  });

  test("that such a success leaves shut stays so in the table, which hears that nothing fails any more", async () => {
    const { clock, circuits, saved, written } = started();
    circuits.tell(webhook, answered(404), false);
    clock.advance(60_000);
    circuits.tell(webhook, answered(429, 7_000), false);
    clock.advance(1_000);
    circuits.tell(webhook, answered(200), false);
    await written();
    expect(saved.at(-1)).toEqual({ circuit: CLOSED, shutForMs: 6_000, isFailing: false });
  });

  test("of the table holds for a worker that has just taken the partition over", () => {
    const { clock, circuits, load } = started();
    load({
      circuit: { isOpen: true, failures: 9, openings: 3 },
      gateOpensInMs: 500,
      failingForMs: 1_000,
    });
    expect(circuits.ask(webhook)).toBe("shut");
    clock.advance(500);
    expect(circuits.ask(webhook)).toBe("probe");
    circuits.tell(webhook, answered(500), true);
    clock.advance(7_999);
    expect(circuits.ask(webhook)).toBe("shut");
    clock.advance(1);
    expect(circuits.ask(webhook)).toBe("probe");
  });

  test("failures in a row are not forgotten when the settings are read again", () => {
    const { circuits, fail, load } = started();
    fail(4);
    load(WELL);
    fail(1);
    expect(circuits.ask(webhook)).toBe("shut");
  });

  test("a webhook that was switched on again begins anew", () => {
    const { circuits, clock, fail, load } = started();
    fail(5);
    return Promise.resolve().then(async () => {
      await Promise.resolve();
      clock.advance(0);
      load(WELL);
      expect(circuits.ask(webhook)).toBe("open");
    });
  });

  test("a reading that was asked for before a change was written does not undo it", async () => {
    const { circuits, clock, fail, load } = started();
    const askedAt = clock.monotonic();
    clock.advance(1);
    fail(5);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    load(WELL, askedAt);
    expect(circuits.ask(webhook)).toBe("shut");
  });

  test("nothing but failures for days is hopeless", () => {
    const { clock, circuits, fail } = started();
    fail(5);
    clock.advance(ENDPOINT_FAILING_MAX_MS);
    expect(circuits.tell(webhook, answered(500), true)).toBeUndefined();
    clock.advance(1);
    expect(circuits.tell(webhook, answered(500), true)).toBe("hopeless");
  });

  test("answers that open no circuit are hopeless after days too, and are written once they have lasted a minute", () => {
    const { clock, circuits, saved, load } = started();
    const answer404 = () => circuits.tell(webhook, answered(404), false);
    answer404();
    clock.advance(59_999);
    // The settings are read again meanwhile.
    load(WELL);
    answer404();
    expect(saved).toEqual([]);
    clock.advance(1);
    answer404();
    answer404();
    expect(saved).toEqual([{ circuit: CLOSED, shutForMs: 0, isFailing: true }]);
    expect(circuits.ask(webhook)).toBe("open");
    clock.advance(ENDPOINT_FAILING_MAX_MS - 60_000);
    expect(answer404()).toBeUndefined();
    clock.advance(1);
    expect(answer404()).toBe("hopeless");
  });

  test("a failure between successes is forgotten, and never written", () => {
    const { clock, circuits, saved } = started();
    for (let round = 0; round < 10; round += 1) {
      circuits.tell(webhook, answered(404), false);
      clock.advance(30_000);
      circuits.tell(webhook, answered(200), false);
      clock.advance(ENDPOINT_FAILING_MAX_MS);
    }
    expect(saved).toEqual([]);
    expect(circuits.size).toBe(0);
  });
});

describe("when the webhook is given another URL", () => {
  test("what the former one answers neither shuts the gate of the new one nor counts for it", () => {
    const { clock, circuits, fail, load } = started();
    fail(4);
    load(WELL, clock.monotonic(), moved);
    expect(circuits.ask(moved)).toBe("open");
    circuits.tell(moved, answered(500), false);
    fail(1);
    expect(circuits.ask(moved)).toBe("open");
    for (let failure = 0; failure < 4; failure += 1) circuits.tell(moved, answered(500), false);
    expect(circuits.ask(moved)).toBe("shut");
  });

  test("a circuit that the former one opens after the change holds nothing up, and says whose it is", () => {
    const { circuits, savedOf, fail } = started();
    expect(circuits.ask(moved)).toBe("open");
    fail(5);
    expect(savedOf).toEqual([webhook]);
    expect(circuits.ask(moved)).toBe("open");
    expect(circuits.size).toBe(0);
  });

  test("a probe of the former one that is withdrawn leaves the new one's alone", () => {
    const { clock, circuits } = started();
    for (let failure = 0; failure < 5; failure += 1) circuits.tell(moved, answered(500), false);
    clock.advance(1_000);
    expect(circuits.ask(moved)).toBe("probe");
    circuits.withdrawProbe(webhook);
    expect(circuits.ask(moved)).toBe("shut");
  });
});

describe("requests that were under way when the circuit opened", () => {
  test("shut the gate no longer by failing, however many they are, and write nothing", () => {
    const { clock, circuits, saved, fail } = started();
    fail(100);
    expect(saved).toHaveLength(1);
    clock.advance(1_000);
    expect(circuits.ask(webhook)).toBe("probe");
  });

  test("do not let a second probe begin beside the one under way", () => {
    const { clock, circuits, fail } = started();
    fail(5);
    clock.advance(1_000);
    expect(circuits.ask(webhook)).toBe("probe");
    fail(3);
    expect(circuits.ask(webhook)).toBe("shut");
    circuits.tell(webhook, answered(500), true);
    clock.advance(1_999);
    expect(circuits.ask(webhook)).toBe("shut");
    clock.advance(1);
    expect(circuits.ask(webhook)).toBe("probe");
  });

  test("close it by a success", async () => {
    const { circuits, saved, written, fail } = started();
    fail(5);
    circuits.tell(webhook, answered(200), false);
    expect(circuits.ask(webhook)).toBe("open");
    await written();
    expect(saved.at(-1)).toEqual({ circuit: CLOSED, shutForMs: 0, isFailing: false });
  });

  test("still hold the endpoint back for as long as a 429 of theirs says", () => {
    const { clock, circuits, fail } = started();
    fail(5);
    circuits.tell(webhook, answered(429, 7_000), false);
    clock.advance(6_999);
    expect(circuits.ask(webhook)).toBe("shut");
    clock.advance(1);
    expect(circuits.ask(webhook)).toBe("probe");
  });
});

test("of two writes the older never lands last, and what changes meanwhile is written once, as it is then", async () => {
  const clock = new ManualClock();
  const begun: { change: CircuitChange; end: () => void }[] = [];
  const circuits = new Circuits({
    clock,
    observe: () => {},
    save(_, change) {
      const ended = Promise.withResolvers<void>();
      begun.push({ change, end: ended.resolve });
      return ended.promise;
    },
    noteSuccesses: () => Promise.resolve(),
  });
  circuits.tell(webhook, answered(429, 7_000), false);
  clock.advance(7_000);
  for (let failure = 0; failure < 5; failure += 1) circuits.tell(webhook, answered(500), false);
  clock.advance(1_000);
  expect(circuits.ask(webhook)).toBe("probe");
  circuits.tell(webhook, answered(200), true);
  // Something fails that is not known any more.
  circuits.tell(webhook, answered(429, 3_000), false);
  clock.advance(1_000);
  let hasStopped = false;
  const stopping = circuits.stop().then(() => (hasStopped = true));
  await Bun.sleep(0);
  expect(begun.map(({ change }) => change.shutForMs)).toEqual([7_000]);
  begun[0]?.end();
  await Bun.sleep(0);
  expect(begun.map(({ change }) => change)).toEqual([
    { circuit: { isOpen: false, failures: 1, openings: 0 }, shutForMs: 7_000, isFailing: false },
    { circuit: { isOpen: false, failures: 1, openings: 0 }, shutForMs: 2_000, isFailing: false },
  ]);
  expect(hasStopped).toBe(false);
  begun[1]?.end();
  await stopping;
});

test("successes are noted once a minute, each endpoint once, a thousand at a time", async () => {
  const { clock, circuits, noted } = started();
  const ids = Array.from({ length: 2_500 }, (_, index) => `webhook ${index}` as WebhookId);
  for (const webhookId of [...ids, ...ids]) circuits.tell({ ...webhook, webhookId }, answered(200), false);
  await circuits.start();
  clock.advance(60_000);
  await circuits.stop();
  expect(noted.map((chunk) => chunk.length)).toEqual([1_000, 1_000, 500]);
  expect(noted.flat()).toEqual(ids);
});

test("of endpoints without an attempt for two days, such as deleted ones, nothing is remembered", async () => {
  const { clock, circuits, fail } = started();
  await circuits.start();
  fail(3);
  clock.advance(2 * 86_400_000);
  expect(circuits.size).toBe(1);
  clock.advance(120_000);
  expect(circuits.size).toBe(0);
  await circuits.stop();
});
