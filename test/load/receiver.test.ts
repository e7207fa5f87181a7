// The receiver's behaviours, each over a real connection.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { ManualClock, systemClock } from "../../src/lib/clock.ts";
import { seededRandom } from "../../src/lib/random.ts";
import { type Behaviour, pathOf, targetOf } from "../../src/load/receiver/behaviour.ts";
import { idTailOf, Receiver } from "../../src/load/receiver/receiver.ts";
import {
  ANSWERED,
  ARRIVED,
  type ArrivalRecord,
  forEachRecord,
  OVERLAPPED,
  SIGNATURE_CHECKED,
  SIGNATURE_WRONG,
} from "../../src/load/receiver/records.ts";
import { refusingPort } from "../../src/load/receiver/refusing-port.ts";
import { eventually } from "../support/services.ts";

const ID = "01a2097c-aca4-7671-908c-c47bb13def2c";
let receiver: Receiver;
let records: ArrivalRecord[];
let isSignatureRight: boolean;

beforeEach(() => {
  records = [];
  isSignatureRight = true;
  const verify = () => isSignatureRight;
  receiver = new Receiver({ clock: systemClock, random: seededRandom(1), verify, port: 0 });
});
afterEach(() => receiver.stop());

function send(behaviour: Behaviour, event = 1, signal?: AbortSignal): Promise<Response> {
  return fetch(`http://127.0.0.1:${receiver.port}${pathOf({ behaviour, webhook: 3 })}`, {
    method: "POST",
    headers: { "Webhook-Id": ID },
    body: JSON.stringify({
      type: "subscriber.created",
      data: { subscriber: { name: "Zoë", custom_fields: { load: event } } },
    }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function noted(): ArrivalRecord[] {
  forEachRecord(receiver.records.take(), (record) => records.push({ ...record }));
  return records;
}

const flagsOf = () => noted().map(({ flags }) => flags & ~SIGNATURE_CHECKED);

test("a path says everything", () => {
  const behaviours: Behaviour[] = [
    { kind: "answer", latencyMs: 4_000 },
    { kind: "error", percent: 50 },
    { kind: "busy", percent: 100 },
    { kind: "hang" },
    { kind: "reset" },
    { kind: "drip", everyMs: 300 },
    { kind: "refuse" },
  ];
  for (const behaviour of behaviours)
    expect(targetOf(pathOf({ behaviour, webhook: 12 }))).toEqual({ behaviour, webhook: 12 });
  expect(targetOf("/elsewhere")).toBeUndefined();
});

test("healthy: notes the event, the webhook and the id", async () => {
  const before = systemClock.now();
  expect((await send({ kind: "answer", latencyMs: 0 }, 4_000_000_000)).status).toBe(200);
  const [record] = noted();
  expect(record).toMatchObject({ event: 4_000_000_000, webhook: 3, idTail: idTailOf(ID) });
  expect(record?.at).toBeWithin(before - 50, systemClock.now() + 50);
  expect(flagsOf()).toEqual([ARRIVED | ANSWERED]);
});

test("slow: answers late, and only then counts as answered", async () => {
  const answer = send({ kind: "answer", latencyMs: 500 });
  await eventually(() => expect(flagsOf()).toEqual([ARRIVED]));
  expect(receiver.inFlight).toBe(1);
  expect((await answer).status).toBe(200);
  expect(flagsOf()).toEqual([ARRIVED, ANSWERED]);
  expect(receiver.inFlight).toBe(0);
});

test.each([
  ["error", 500],
  ["busy", 429],
] as const)("%s: %d with Retry-After", async (kind, status) => {
  const answer = await send({ kind, percent: 100 });
  expect(answer.status).toBe(status);
  expect(answer.headers.get("retry-after")).toBe("1");
  expect((await send({ kind, percent: 0 })).status).toBe(200);
  expect(flagsOf()).toEqual([ARRIVED, ARRIVED | ANSWERED]);
});

test("hanging: never answers", async () => {
  const giveUp = new AbortController();
  const answer = send({ kind: "hang" }, 1, giveUp.signal).catch((error: Error) => error.name);
  await eventually(() => expect(flagsOf()).toEqual([ARRIVED]));
  giveUp.abort();
  expect(await answer).toBe("AbortError");
  await eventually(() => expect(receiver.inFlight).toBe(0));
  expect(flagsOf()).toEqual([ARRIVED]);
});

test("resetting: the connection is gone", async () => {
  expect(await send({ kind: "reset" }).catch((error: { code: string }) => error.code)).toBe("ECONNRESET");
  expect(flagsOf()).toEqual([ARRIVED]);
  expect(receiver.inFlight).toBe(0);
});

test("dripping: the answer comes byte by byte", async () => {
  const answer = await send({ kind: "drip", everyMs: 10 });
  expect(flagsOf()).toEqual([ARRIVED]);
  expect(await answer.text()).toBe("..........");
  expect(flagsOf()).toEqual([ARRIVED, ANSWERED]);
});

test("refusing: nobody listens", async () => {
  const url = `http://127.0.0.1:${await refusingPort(seededRandom(7))}/`;
  expect(await fetch(url).catch((error: { code: string }) => error.code)).toBe("ECONNREFUSED");
});

describe("two requests at once to one webhook", () => {
  test("are an overlap", async () => {
    const slow: Behaviour = { kind: "answer", latencyMs: 60 };
    await Promise.all([send(slow, 1), send(slow, 2)]);
    await eventually(() => expect(flagsOf().filter((flags) => flags === OVERLAPPED)).toHaveLength(1));
  });

  test("are none when the first has been given up", async () => {
    receiver.stop();
    const clock = new ManualClock();
    receiver = new Receiver({ clock, random: seededRandom(1), verify: () => true, port: 0 });
    const giveUp = new AbortController();
    const first = send({ kind: "hang" }, 1, giveUp.signal).catch(() => {});
    await eventually(() => expect(receiver.inFlight).toBe(1));
    const second = send({ kind: "hang" }, 2, AbortSignal.timeout(1_000)).catch(() => {});
    await eventually(() => expect(receiver.inFlight).toBe(2));
    giveUp.abort();
    await first;
    await eventually(() => expect(receiver.inFlight).toBe(1));
    clock.advance(1_000);
    expect(flagsOf()).toEqual([ARRIVED, ARRIVED]);
    receiver.stop();
    await second;
  });
});

test("a signature that does not fit is noted, one in so many", async () => {
  isSignatureRight = false;
  for (let nth = 0; nth < 65; nth += 1) await send({ kind: "answer", latencyMs: 0 });
  expect(noted().filter(({ flags }) => flags & SIGNATURE_WRONG)).toHaveLength(2);
});

test("reads requests in whatever pieces they come, several on one connection", async () => {
  const path = pathOf({ behaviour: { kind: "answer", latencyMs: 0 }, webhook: 9 });
  const request = (event: number) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\ncontent-length: 11\r\nwebhook-id: ${ID}\r\n\r\n{"load":${event}}`;
  const socket = connect({ port: receiver.port, host: "127.0.0.1", noDelay: true });
  const text = request(11) + request(12) + request(13);
  for (let at = 0; at < text.length; at += 50) {
    await new Promise((written) => socket.write(text.slice(at, at + 50), written));
  }
  await eventually(() =>
    expect(noted().map(({ event, webhook }) => [event, webhook])).toEqual([
      [11, 9],
      [12, 9],
      [13, 9],
    ]),
  );
  socket.destroy();
});
