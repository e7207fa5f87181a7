// Receivers for the sender's tests: raw TCP ones that answer whatever bytes they are told to, and the usual request.

import { newWebhookSecret } from "../../src/domain/webhook.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import { createSender, type Sender, type SenderOptions, type SendRequest } from "../../src/sender/send.ts";

export const SECRET = newWebhookSecret();
export const LOOPBACK = ["127.0.0.0/8", "::1"];

/** A sender whose requests nobody withholds: each has an outcome. */
export function senderWith(
  options: Partial<SenderOptions> = {},
): Omit<Sender, "send"> & { send(request: SendRequest): Promise<Outcome> } {
  const sender = createSender({ clock: systemClock, version: "1.2.3", egressAllow: LOOPBACK, ...options });
  return {
    ...sender,
    async send(request) {
      const outcome = await sender.send(request);
      if (outcome === undefined) throw new Error("the request was withheld");
      return outcome;
    },
  };
}

export function requestTo(url: string, more: Partial<SendRequest> = {}): SendRequest {
  return {
    url,
    headers: {},
    secrets: [SECRET],
    eventId: Bun.randomUUIDv7(),
    userId: "user",
    payload: `{"type":"subscriber.created","timestamp":"2026-01-01T00:00:00.000Z","data":{"name":"Zoë 🎉"}}`,
    timeoutMs: 10_000,
    ...more,
  };
}

export type RawReceiver = Disposable & {
  url: string;
  port: number;
  connections: number;
  /** What has come in so far, all connections together. */
  received: string;
  /** Resolves when the first connection has been closed by the sender. */
  closed: Promise<void>;
};

/** Calls `respond` once per request, when its headers are there. */
export function rawReceiver(respond: (socket: Bun.Socket<undefined>) => void, hostname = "127.0.0.1"): RawReceiver {
  const closed = Promise.withResolvers<void>();
  const listener = Bun.listen({
    hostname,
    port: 0,
    socket: {
      open() {
        receiver.connections += 1;
      },
      data(socket, bytes) {
        const text = bytes.toString();
        receiver.received += text;
        if (text.includes("\r\n\r\n")) respond(socket);
      },
      close: () => closed.resolve(),
      error: () => {},
    },
  });
  const receiver: RawReceiver = {
    port: listener.port,
    url: `http://127.0.0.1:${listener.port}/hook`,
    connections: 0,
    received: "",
    closed: closed.promise,
    [Symbol.dispose]: () => listener.stop(true),
  };
  return receiver;
}

/** A receiver that writes `bytes` and closes. */
export function rawAnswer(bytes: string | Uint8Array): RawReceiver {
  return rawReceiver((socket) => {
    socket.end(bytes);
  });
}
