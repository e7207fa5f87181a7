// "Enough": what ends a phase early, be it Ctrl-C or the end of the phases before.

import { type Clock, sleep } from "../lib/clock.ts";

export class StopSignal {
  readonly #waiting = new Set<() => void>();
  #isStopped = false;

  get isStopped(): boolean {
    return this.#isStopped;
  }

  stop(): void {
    this.#isStopped = true;
    for (const wake of this.#waiting) wake();
  }

  /** Returns after so long, or at the stop. */
  async sleep(clock: Clock, delayMs: number): Promise<void> {
    if (this.#isStopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(delayMs, resolve);
    this.#waiting.add(resolve);
    await promise;
    this.#waiting.delete(resolve);
    timer.cancel();
  }
}

/** Asks every `everyMs` until `isTrue`, the stop, or `timeoutMs`. Returns whether it was true. */
export async function waitUntil(
  { clock, stop, everyMs, timeoutMs }: { clock: Clock; stop?: StopSignal; everyMs: number; timeoutMs: number },
  isTrue: () => boolean,
): Promise<boolean> {
  const deadline = clock.monotonic() + timeoutMs;
  while (!isTrue()) {
    if (stop?.isStopped === true || clock.monotonic() >= deadline) return false;
    await (stop?.sleep(clock, everyMs) ?? sleep(clock, everyMs));
  }
  return true;
}
