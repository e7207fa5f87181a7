// Which phase a run is in, and when each began and ended.

import type { Clock } from "../lib/clock.ts";
import type { Ledger } from "./ledger.ts";
import { wallTimeMs } from "./wall-time.ts";

export type PhaseName = "warm-up" | "quiet" | "noise" | "drain";
export type PhaseSpan = { name: PhaseName; from_s: number; to_s: number };

export class Phases {
  readonly spans: PhaseSpan[] = [];
  /** Milliseconds on the wall clock. */
  readonly startedAt: number;
  readonly #clock: Clock;
  readonly #ledger: Ledger;

  constructor(clock: Clock, ledger: Ledger) {
    this.#clock = clock;
    this.#ledger = ledger;
    this.startedAt = wallTimeMs(clock);
  }

  get elapsedS(): number {
    return (wallTimeMs(this.#clock) - this.startedAt) / 1_000;
  }

  get current(): PhaseName {
    return this.spans.at(-1)?.name ?? "warm-up";
  }

  /** Events noted from now on belong to it. */
  enter(name: PhaseName): void {
    this.end();
    this.spans.push({ name, from_s: this.elapsedS, to_s: this.elapsedS });
    if (name !== "drain") this.#ledger.phase = name;
  }

  end(): void {
    const span = this.spans.at(-1);
    if (span !== undefined) span.to_s = this.elapsedS;
  }
}
