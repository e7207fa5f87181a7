// A turn of a delivery, from what is known of its endpoint to what the stream is told.

import { describe, expect, test } from "bun:test";
import type { Outcome } from "../../src/domain/outcome.ts";
import { attemptsWith, endpointOf } from "./attempts.ts";

describe("an endpoint whose secrets cannot be read", () => {
  const unreadable = endpointOf({ unreadable: "secrets: cannot decrypt; check SECRETS_KEY" });

  test("is sent nothing, and its deliveries stay pending", async () => {
    const { sent, recorded, answered, held, take } = attemptsWith(() => unreadable);
    await take();
    expect(sent).toHaveLength(0);
    expect(recorded).toHaveLength(0);
    expect(answered).toEqual(["nak 30000"]);
    expect(held.count).toBe(0);
  });

  test("is reported once a minute", async () => {
    const { clock, observed, take } = attemptsWith(() => unreadable);
    for (let attempt = 0; attempt < 10; attempt += 1) await take();
    expect(observed).toEqual([
      { name: "endpoint.unreadable", fields: { webhook_id: "webhook", error: unreadable.unreadable } },
    ]);
    clock.advance(60_000);
    await take();
    expect(observed).toHaveLength(2);
  });

  test("has its deliveries cancelled all the same when it is switched off", async () => {
    const { recorded, answered, take } = attemptsWith(() => ({ ...unreadable, isActive: false }));
    await take();
    expect(recorded).toMatchObject([{ place: { kind: "completed", status: "cancelled" } }]);
    expect(answered).toEqual(["ack"]);
  });
});

describe("settings that have changed, though nothing was heard of it,", () => {
  const gone: Outcome = {
    kind: "gone",
    answer: { statusCode: 410, responseBody: null, retryAfterMs: null },
    latencyMs: 1,
  };

  test("cancel nothing: what is switched off by memory alone is sent", async () => {
    const { sent, recorded, take } = attemptsWith(
      () => endpointOf({ isActive: false }),
      () => Promise.resolve(endpointOf()),
    );
    await take();
    expect(sent).toHaveLength(1);
    expect(recorded).toEqual([]);
  });

  test("end nothing: that the former URL is gone is a failure like any other", async () => {
    const { sent, recorded, answered, take } = attemptsWith(
      () => endpointOf({ url: "https://example.com/former" }),
      () => Promise.resolve(endpointOf()),
    );
    await take();
    await sent[0]?.end(gone);
    expect(recorded).toMatchObject([{ error: "HTTP 410", attempt: { statusCode: 410 } }]);
    expect(answered).toEqual(["nak 1000"]);
  });

  test("and where they have not, that it is gone is the end", async () => {
    const { sent, recorded, answered, take } = attemptsWith(() => endpointOf());
    await take();
    await sent[0]?.end(gone);
    expect(recorded).toMatchObject([{ place: { kind: "completed", status: "failed" } }]);
    expect(answered).toEqual(["ack"]);
  });
});

test("settings that cannot be loaded are asked for again, and it is said why", async () => {
  const { answered, observed, take } = attemptsWith(() => Promise.reject(new Error("no connection")));
  await take();
  await take();
  expect(answered).toEqual(["nak 2000", "nak 2000"]);
  expect(observed).toEqual([
    { name: "endpoint.unreadable", fields: { webhook_id: "webhook", error: "no connection" } },
  ]);
});

test("only the probe's own end lets another begin: a request from before the circuit opened does not", async () => {
  const { clock, sent, answered, circuits, take } = attemptsWith(() => endpointOf({ maxInFlight: 10 }));
  const timeout: Outcome = { kind: "failed", stage: "timeout", error: "timeout", answer: null, latencyMs: 1_000 };
  for (let request = 0; request < 7; request += 1) await take();
  for (const { end } of sent.slice(0, 5)) await end(timeout);
  await take();
  expect(sent).toHaveLength(7);
  clock.advance(1_000);
  await take();
  expect(sent).toHaveLength(8);
  await sent[5]?.end(timeout);
  // Withheld: its lease ran out.
  await sent[6]?.end(undefined);
  await take();
  expect(sent).toHaveLength(8);
  await sent[7]?.end(undefined);
  expect(circuits.ask(endpointOf())).toBe("probe");
  expect(answered.filter((answer) => answer === "ack")).toHaveLength(2);
});
