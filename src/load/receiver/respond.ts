// What a receiver does with one request.

import type { Clock } from "../../lib/clock.ts";
import type { Random } from "../../lib/random.ts";
import { unreachable } from "../../lib/unreachable.ts";
import { type Behaviour, DRIP_BYTES } from "./behaviour.ts";

type Tools = { socket: Pick<Bun.Socket, "write" | "terminate">; clock: Clock; random: Random };

const OK = Buffer.from("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok");
const ERROR = Buffer.from("HTTP/1.1 500 Internal Server Error\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n");
const BUSY = Buffer.from("HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n");
const DRIP_HEAD = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${DRIP_BYTES}\r\n\r\n`);

/** Calls `onAnswered` right before the last byte goes, at once or later; never for one that is not answered. */
export function respond(behaviour: Behaviour, tools: Tools, onAnswered: (isSuccess: boolean) => void): void {
  const { socket, clock, random } = tools;
  const answer = (bytes: Buffer, isSuccess: boolean) => {
    onAnswered(isSuccess);
    socket.write(bytes);
  };
  switch (behaviour.kind) {
    case "answer":
      if (behaviour.latencyMs === 0) answer(OK, true);
      else clock.after(behaviour.latencyMs, () => answer(OK, true));
      return;
    case "error":
    case "busy":
      if (random() * 100 >= behaviour.percent) answer(OK, true);
      else answer(behaviour.kind === "error" ? ERROR : BUSY, false);
      return;
    case "hang":
    case "refuse":
      return;
    case "reset":
      socket.terminate();
      return;
    case "drip":
      socket.write(DRIP_HEAD);
      drip(DRIP_BYTES);
      return;
    default:
      unreachable(behaviour);
  }

  function drip(bytesLeft: number): void {
    if (behaviour.kind !== "drip") return;
    clock.after(behaviour.everyMs, () => {
      if (bytesLeft === 1) onAnswered(true);
      // 0 or less: the client has gone, and nobody waits for the rest.
      if (socket.write(".") > 0 && bytesLeft > 1) drip(bytesLeft - 1);
    });
  }
}
