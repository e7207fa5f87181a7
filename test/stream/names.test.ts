import { describe, expect, test } from "bun:test";
import { MsgHdrsImpl } from "@nats-io/transport-node";
import fc from "fast-check";
import type { Message } from "../../src/domain/delivery.ts";
import type { UserId, WebhookId } from "../../src/domain/ids.ts";
import { ALL_PARTITIONS } from "../../src/domain/partition.ts";
import { PRIORITIES } from "../../src/domain/priority.ts";
import { deliveryOf, headersOf, parseMessage } from "../../src/stream/message.ts";
import { consumerFilter, parseSubject, STREAM_SUBJECTS, subjectOf } from "../../src/stream/subjects.ts";
import { messageOf } from "./servers.ts";

const routes = fc.record({
  userId: fc.uuid().map((id) => id as UserId),
  webhookId: fc.uuid().map((id) => id as WebhookId),
  partition: fc.constantFrom(...ALL_PARTITIONS),
  priority: fc.constantFrom(...PRIORITIES),
});
/** As NATS compares a subject with a filter of `*`. */
const matches = (subject: string, filter: string) => {
  const [words, patterns] = [subject.split("."), filter.split(".")];
  return words.length === patterns.length && patterns.every((word, index) => word === "*" || word === words[index]);
};

describe("a subject", () => {
  test("says where a delivery is bound for, is the stream's, and of exactly one consumer", () => {
    fc.assert(
      fc.property(routes, (route) => {
        const subject = subjectOf(route);
        expect(parseSubject(subject)).toEqual(route);
        expect(matches(subject, STREAM_SUBJECTS)).toBe(true);
        const consumers = ALL_PARTITIONS.flatMap((partition) =>
          PRIORITIES.map((priority) => ({ partition, priority })),
        );
        const own = consumers.filter(({ partition, priority }) =>
          matches(subject, consumerFilter(partition, priority)),
        );
        expect(own).toEqual([{ partition: route.partition, priority: route.priority }]);
      }),
    );
  });

  test("of any other form is nobody's", () => {
    fc.assert(fc.property(fc.string(), (text) => expect(parseSubject(text)).toBe(undefined)));
    const good = subjectOf(messageOf());
    for (const bad of [`${good}.x`, good.replace("p03", "p08"), good.replace("high", "urgent"), good.slice(0, -1)]) {
      expect(parseSubject(bad)).toBe(undefined);
    }
  });
});

describe("a message", () => {
  const blockOf = (message: Message) => new TextDecoder().decode(headersOf(message).encode());

  test("comes back as it was", () => {
    const numbers = fc.record({
      generation: fc.nat(),
      attemptCount: fc.nat(),
      scheduleBase: fc.nat(),
      pendingSince: fc.nat(),
    });
    fc.assert(
      fc.property(routes, numbers, fc.constantFrom("accept" as const, "refill" as const), (route, counts, origin) => {
        const message = messageOf({ ...route, ...counts, origin });
        expect(parseMessage(subjectOf(message), blockOf(message), message.payload)).toEqual(message);
      }),
    );
  });

  test("has an id of its delivery and generation", () => {
    const message = messageOf({ generation: 4 });
    const headers = MsgHdrsImpl.decode(headersOf(message).encode());
    expect(headers.get("Nats-Msg-Id")).toBe(`${message.deliveryId}:4`);
    expect(deliveryOf(headers)).toBe(message.deliveryId);
  });

  test.each(["Nats-Msg-Id", "Fairpost-Event", "Fairpost-Event-Type", "Fairpost-State"])(
    "without the header %s is refused by that name",
    (name) => {
      const message = messageOf();
      const headers = MsgHdrsImpl.decode(headersOf(message).encode());
      headers.delete(name);
      expect(() => parseMessage(subjectOf(message), String(headers), "")).toThrow(name);
    },
  );
});
