// When the next event is posted: at a rate whatever becomes of the ones before, or as soon as there is a free hand.

import type { Clock } from "../lib/clock.ts";
import type { Random } from "../lib/random.ts";
import type { StopSignal } from "./stop-signal.ts";

export type Rate = {
  clock: Clock;
  random: Random;
  stop: StopSignal;
  perSecond: number;
  /** Infinity: until the stop. */
  forS: number;
  /** Of one rate, in flight at once; a service that is slower than the rate sets the pace itself. */
  inFlightMax: number;
};

/** Calls `fire` at the rate, each interval stretched or shrunk by up to half so that nothing beats in step with it. */
export async function atRate(rate: Rate, fire: () => Promise<void>): Promise<void> {
  const { clock, random, stop, perSecond, forS, inFlightMax } = rate;
  const end = clock.monotonic() + forS * 1_000;
  const intervalMs = 1_000 / perSecond;
  const fired = new Set<Promise<void>>();
  let due = clock.monotonic();
  while (!stop.isStopped && due < end) {
    const waitMs = due - clock.monotonic();
    if (waitMs > 0) await stop.sleep(clock, Math.max(1, waitMs));
    while (!stop.isStopped && due <= clock.monotonic() && due < end) {
      if (fired.size >= inFlightMax) await Promise.race(fired);
      const one: Promise<void> = fire().finally(() => fired.delete(one));
      fired.add(one);
      due += intervalMs * (0.5 + random());
    }
  }
  await Promise.all(fired);
}

/** Calls `fire` `count` times, `hands` at once. */
export async function asFastAsTaken(
  { count, hands, stop }: { count: number; hands: number; stop: StopSignal },
  fire: (nth: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count && !stop.isStopped) {
      next += 1;
      await fire(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(hands, count) }, work));
}
