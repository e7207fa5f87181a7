// The books: what is lost, what came twice, what came in the wrong order, whatever the order of the news.

import { beforeEach, describe, expect, test } from "bun:test";
import { Ledger } from "../../src/load/ledger.ts";
import { ANSWERED, ARRIVED, NO_EVENT, OVERLAPPED } from "../../src/load/receiver/records.ts";

const ID = 77;
let ledger: Ledger;
let group: number;

beforeEach(() => {
  ledger = new Ledger();
  group = ledger.addGroup();
});

function arrive(event: number, webhook: number, at: number, flags = ARRIVED | ANSWERED, idTail = ID + event): void {
  ledger.record({ event, webhook, at, idTail, flags });
}

function accepted(account: number, at: number): number {
  const event = ledger.post(account, at);
  ledger.accept(event, at + 1);
  return event;
}

describe("lost", () => {
  test("what is accepted has to arrive at every healthy webhook", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true, false, true]);
    const event = accepted(account, 0);
    arrive(event, firstWebhook, 5);
    expect(ledger.undelivered()).toEqual({ healthy: 1, faulty: 1, named: [{ event, webhook: firstWebhook + 2 }] });
    arrive(event, firstWebhook + 1, 6);
    arrive(event, firstWebhook + 2, 7);
    expect(ledger.undelivered()).toEqual({ healthy: 0, faulty: 0, named: [] });
    expect(ledger.groups[group]).toEqual({
      posted: 1,
      accepted: 1,
      expected: 3,
      delivered: 3,
      expectedHealthy: 2,
      deliveredHealthy: 2,
    });
  });

  test("an attempt that was not answered with success is no delivery", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true]);
    const event = accepted(account, 0);
    arrive(event, firstWebhook, 5, ARRIVED);
    expect(ledger.undelivered().healthy).toBe(1);
    arrive(event, firstWebhook, 1_005, ARRIVED);
    arrive(event, firstWebhook, 1_010, ANSWERED);
    expect(ledger.undelivered().healthy).toBe(0);
    expect(ledger.findings).toMatchObject({ attempts: 2, duplicated: 0 });
  });

  test("what was refused, or never answered, is not missed", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true]);
    ledger.refuse(ledger.post(account, 0));
    const unanswered = ledger.post(account, 0);
    arrive(unanswered, firstWebhook, 5);
    expect(ledger.undelivered()).toEqual({ healthy: 0, faulty: 0, named: [] });
    expect(ledger.answers()).toEqual({ posted: 2, accepted: 0, refused: 1, unanswered: 1 });
    expect(ledger.groups[group]).toMatchObject({ expected: 0, delivered: 0 });
  });

  test("a delivery may come before the API's answer", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true]);
    const event = ledger.post(account, 0);
    arrive(event, firstWebhook, 1);
    ledger.accept(event, 2);
    expect(ledger.groups[group]).toMatchObject({ expected: 1, delivered: 1, deliveredHealthy: 1 });
  });
});

test("a second success is a duplicate, and an overlap is one for itself", () => {
  const { account, firstWebhook } = ledger.addAccount(group, [true]);
  const event = accepted(account, 0);
  arrive(event, firstWebhook, 5);
  arrive(event, firstWebhook, 6);
  arrive(event, firstWebhook, 6, OVERLAPPED);
  expect(ledger.findings).toMatchObject({ attempts: 2, duplicated: 1, overlapping: 1 });
  expect(ledger.groups[group]).toMatchObject({ delivered: 1 });
});

describe("out of order", () => {
  test("is what comes after something that was posted only when this had been answered", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true]);
    const first = accepted(account, 0);
    const second = accepted(account, 10);
    arrive(second, firstWebhook, 20);
    arrive(first, firstWebhook, 21);
    expect(ledger.findings).toMatchObject({ outOfOrder: 1, outOfOrderHealthy: 1 });
  });

  test("is not what was posted at the same time, nor at another webhook", () => {
    const { account, firstWebhook } = ledger.addAccount(group, [true, true]);
    const first = ledger.post(account, 0);
    const second = ledger.post(account, 1);
    for (const event of [first, second]) ledger.accept(event, 2);
    arrive(second, firstWebhook, 20);
    arrive(first, firstWebhook, 21);
    const third = accepted(account, 30);
    arrive(third, firstWebhook, 40);
    arrive(first, firstWebhook + 1, 41);
    expect(ledger.findings.outOfOrder).toBe(0);
  });
});

test("another account's webhook, and what nobody posted, is misrouted", () => {
  const one = ledger.addAccount(group, [true]);
  const other = ledger.addAccount(group, [true]);
  const event = accepted(one.account, 0);
  arrive(event, other.firstWebhook, 5);
  arrive(NO_EVENT, one.firstWebhook, 5);
  arrive(event + 1, one.firstWebhook, 5);
  expect(ledger.findings.misrouted).toBe(3);
  expect(ledger.undelivered().healthy).toBe(1);
});

test("every arrival of an event has the same webhook-id, and the answer's", () => {
  const { account, firstWebhook } = ledger.addAccount(group, [true, true]);
  const event = ledger.post(account, 0);
  ledger.accept(event, 1, ID);
  arrive(event, firstWebhook, 5, ARRIVED | ANSWERED, ID);
  expect(ledger.findings.changedIds).toBe(0);
  arrive(event, firstWebhook + 1, 5, ARRIVED | ANSWERED, ID + 1);
  expect(ledger.findings.changedIds).toBe(1);
});

test("latencies are of first arrivals, each in the phase in which it was posted", () => {
  const { account, firstWebhook } = ledger.addAccount(group, [true]);
  const heard: unknown[] = [];
  ledger.phase = "quiet";
  const quiet = accepted(account, 100);
  ledger.phase = "noise";
  const noise = accepted(account, 200);
  arrive(noise, firstWebhook, 250);
  arrive(quiet, firstWebhook, 104, ARRIVED);
  arrive(quiet, firstWebhook, 1_104);
  ledger.forEachLatency((index, sentAt, phase, latencyMs) => heard.push([index, sentAt, phase, latencyMs]));
  expect(heard).toEqual([
    [group, 100, "quiet", 4],
    [group, 200, "noise", 50],
  ]);
});
