import { expect, test } from "bun:test";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { systemClock } from "../../src/lib/clock.ts";
import { type Handle, Pull } from "../../src/stream/pull.ts";

/** What a pull hands on when the server sends it a message whose answers go to `reply`. */
function handleOf(reply: string): Handle | undefined {
  let deliver = (_message: Msg): void => {};
  const connection = {
    isClosed: () => false,
    publish: () => {},
    subscribe(_: string, { callback }: { callback: (error: null, message: Msg) => void }) {
      deliver = (message) => callback(null, message);
      return { unsubscribe: () => {} };
    },
  };
  let handle: Handle | undefined;
  const pull = new Pull({
    link: { connection: connection as unknown as NatsConnection },
    consumer: "p00-high",
    clock: systemClock,
    batch: () => 1,
    onMessage: (_, made) => void (handle = made),
  });
  deliver({ reply } as unknown as Msg);
  pull.abandon();
  return handle;
}

test.each([
  ["as a server of its own sends it", "$JS.ACK.WEBHOOKS.p00-high.2.345.67.1764361473226123456.8"],
  [
    "with a domain, an account and a random word",
    "$JS.ACK.hub.9ab.WEBHOOKS.p00-high.2.345.67.1764361473226123456.8.77",
  ],
])("an ack's subject %s says which delivery this is, of which message, and when that was stored", (_, reply) => {
  expect(handleOf(reply)).toMatchObject({ deliveryCount: 2, seq: 345, storedAt: 1_764_361_473_226 });
});
