// SIGTERM while a receiver takes its time: the request is finished, unless a second signal says to hurry.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { sleep, systemClock } from "../../src/lib/clock.ts";
import { eventually } from "../support/services.ts";
import { Fleet } from "./fleet.ts";
import { Load } from "./load.ts";
import { RecordingReceiver } from "./receiver.ts";

const LATENCY_MS = 5_000;
const ATTEMPT_TIMEOUT_MS = 8_000;

let receiver: RecordingReceiver;
let fleet: Fleet;
let load: Load;

beforeAll(async () => {
  receiver = await RecordingReceiver.start();
  fleet = await Fleet.start({ workers: 2, env: { ATTEMPT_TIMEOUT_MS: String(ATTEMPT_TIMEOUT_MS) } });
  load = new Load({
    apiUrl: fleet.url,
    receiver,
    accounts: 1,
    webhooks: 32,
    latencyMs: () => LATENCY_MS,
    failEvery: 0,
  });
  await load.prepare();
});
afterAll(async () => {
  await fleet.stop();
  await receiver.stop();
});

test("a worker that is told to leave finishes its requests; told again, it hurries", async () => {
  await Promise.all(load.targets.slice(0, 32).map((target) => load.publish(target)));
  await eventually(async () => expect((await receiver.requests()).running).toBe(32));
  const [patient, hurried] = [fleet.worker(0), fleet.worker(1)];
  const toldAt = systemClock.monotonic();
  patient.signal("SIGTERM");
  hurried.signal("SIGTERM");
  await sleep(systemClock, 1_200);
  hurried.signal("SIGTERM");
  expect(await hurried.exited).toBe(1);
  // Before its receivers answer.
  expect(systemClock.monotonic() - toldAt).toBeLessThan(LATENCY_MS - 1_000);
  expect(await patient.exited).toBe(0);
  // When they have, which is before it would give them up.
  expect(systemClock.monotonic() - toldAt).toBeGreaterThan(LATENCY_MS - 2_000);
  expect(systemClock.monotonic() - toldAt).toBeLessThan(ATTEMPT_TIMEOUT_MS);
  const { requests } = await receiver.requests();
  const finished = requests.filter(({ status }) => status === 200).length;
  expect(finished).toBeGreaterThan(0);
  expect(finished).toBeLessThan(32);
});
