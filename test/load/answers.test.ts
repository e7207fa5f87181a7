// What the generator makes of Fairpost's answers.

import { expect, test } from "bun:test";
import { acceptedInBatch } from "../../src/load/batch-answer.ts";
import { WorkerAttempts } from "../../src/load/worker-metrics.ts";

test("a batch: what became of each item", () => {
  const items = [{ id: "a", status: "active" }, { status: 201, subscriber: {} }, { status: 409 }, { error: "taken" }];
  expect(acceptedInBatch(200, JSON.stringify({ data: items }), 4)).toEqual([true, true, false, false]);
  expect(acceptedInBatch(503, "not even JSON", 2)).toEqual([false, false]);
  expect(() => acceptedInBatch(200, JSON.stringify({ data: items }), 5)).toThrow("does not list its 5 items");
});

test("attempts by worker: all outcomes together, since the first look", () => {
  const workers = new WorkerAttempts();
  const line = (worker: string, outcome: string, value: number) =>
    `fairpost_attempts_total{worker="${worker}",outcome="${outcome}"} ${value}`;
  workers.hear([line("a", "accepted", 10), line("a", "failed", 1)].join("\n"));
  workers.hear([line("a", "accepted", 30), line("a", "failed", 1), line("b", "accepted", 5)].join("\n"));
  expect(workers.attempts).toEqual([
    { worker: "a", attempts: 20 },
    { worker: "b", attempts: 5 },
  ]);
  expect(workers.inFlight).toBeUndefined();
  workers.hear('fairpost_requests_in_flight{worker="a"} 3\nfairpost_requests_in_flight{worker="b"} 4');
  expect(workers.inFlight).toBe(7);
});
