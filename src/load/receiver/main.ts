// The receiver's process: `bun main.ts <arguments as JSON>`, with a channel to the generator, whose end is its own.

import { Webhook } from "standardwebhooks";
import { sleep, systemClock } from "../../lib/clock.ts";
import { seededRandom } from "../../lib/random.ts";
import type { FromReceiver, ReceiverArguments } from "./messages.ts";
import { Receiver } from "./receiver.ts";
import { secretOf } from "./secrets.ts";

/** Often enough for the progress line, seldom enough to cost nothing. */
const FLUSH_MS = 100;

const { runKey, seed } = JSON.parse(process.argv[2] ?? "{}") as ReceiverArguments;
const verifiers = new Map<number, Webhook>();

function verify(webhook: number, headers: Record<string, string>, body: string): boolean {
  let verifier = verifiers.get(webhook);
  if (verifier === undefined) {
    verifier = new Webhook(secretOf(runKey, webhook));
    verifiers.set(webhook, verifier);
  }
  try {
    verifier.verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

function tell(message: FromReceiver): void {
  process.send?.(message);
}

process.on("disconnect", () => process.exit());

const receiver = new Receiver({ clock: systemClock, random: seededRandom(seed), verify, port: 0 });
tell({ kind: "ready", port: receiver.port });
for (;;) {
  await sleep(systemClock, FLUSH_MS);
  tell({ kind: "records", bytes: receiver.records.take(), inFlight: receiver.inFlight });
}
