// A group's accounts at work: how they post what the group's load says, and read.

import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/random.ts";
import type { PostMode } from "./options.ts";
import { asFastAsTaken, atRate } from "./pacing.ts";
import type { Poster, Sender } from "./poster.ts";
import type { Group } from "./scenarios.ts";
import type { StopSignal } from "./stop-signal.ts";

export type Crew = {
  group: Group;
  /** In the ledger. */
  index: number;
  senders: readonly Sender[];
};

export type Work = {
  poster: Poster;
  mode: PostMode;
  batch: number;
  /** Requests in flight at once. */
  hands: number;
  clock: Clock;
  random: Random;
  stop: StopSignal;
};

/** Until the load is done or the stop; its accounts take turns. */
export async function post({ group: { load }, senders }: Crew, work: Work): Promise<void> {
  if (senders.length === 0) return;
  const { mode, poster, hands, clock, random, stop } = work;
  const batch = mode === "batch" ? work.batch : 1;
  let turn = 0;
  const fire = async (size: number) => {
    const sender = senders[turn % senders.length];
    turn += 1;
    if (sender === undefined) return;
    if (mode === "batch") await poster.postBatch(sender, size);
    else if (mode === "event") await poster.postEvent(sender);
    else await poster.postSubscriber(sender);
  };
  if (load.kind === "rate") {
    const { perSecond, forS } = load;
    await atRate({ clock, random, stop, perSecond: perSecond / batch, forS, inFlightMax: hands }, () => fire(batch));
  } else {
    const { events } = load;
    const count = Math.ceil(events / batch);
    await asFastAsTaken({ count, hands, stop }, (nth) => fire(Math.min(batch, events - nth * batch)));
  }
}

/** Lists the accounts' subscribers, for as long as they post or until the stop. */
export async function read({ group: { load, reads }, senders }: Crew, { poster, clock, stop }: Work): Promise<void> {
  if (reads === undefined || load.kind !== "rate") return;
  const endsAt = clock.monotonic() + load.forS * 1_000;
  const loop = async (sender: Sender): Promise<void> => {
    while (!stop.isStopped && clock.monotonic() < endsAt) await poster.listSubscribers(sender);
  };
  await Promise.all(senders.flatMap((sender) => Array.from({ length: reads.atOnce }, () => loop(sender))));
}
