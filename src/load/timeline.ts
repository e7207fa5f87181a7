// What a run looked like second by second.

import type { GroupTally, Ledger } from "./ledger.ts";
import { latencyOf, Samples } from "./percentiles.ts";

/** The victims' p99 on the progress line is that of so many seconds. */
const RECENT_S = 5;

export type Second = {
  /** Seconds since the run's start. */
  at_s: number;
  phase: string;
  /** Events. */
  accepted: number;
  /** Deliveries. */
  delivered: number;
  in_flight: number;
  /** Deliveries of accepted events that have not been answered with 2xx. */
  backlog: number;
  accepted_per_s: number;
  delivered_per_s: number;
  victims_p99_ms: number | null;
};

export class Timeline {
  readonly seconds: Second[] = [];
  readonly #ledger: Ledger;
  #recent: Samples[] = [new Samples()];

  constructor(ledger: Ledger, isVictim: (group: number) => boolean) {
    this.#ledger = ledger;
    ledger.onFirstArrival = (group, latencyMs) => {
      if (isVictim(group)) this.#recent.at(-1)?.add(latencyMs);
    };
  }

  sample(atS: number, phase: string, inFlight: number): Second {
    const total = (member: keyof GroupTally) => this.#ledger.groups.reduce((sum, group) => sum + group[member], 0);
    const before = this.seconds.at(-1);
    const elapsedS = Math.max(atS - (before?.at_s ?? 0), 0.001);
    const accepted = total("accepted");
    const delivered = total("delivered");
    const second: Second = {
      at_s: atS,
      phase,
      accepted,
      delivered,
      in_flight: inFlight,
      backlog: total("expected") - delivered,
      accepted_per_s: (accepted - (before?.accepted ?? 0)) / elapsedS,
      delivered_per_s: (delivered - (before?.delivered ?? 0)) / elapsedS,
      victims_p99_ms: this.#recentP99(),
    };
    this.seconds.push(second);
    return second;
  }

  #recentP99(): number | null {
    const all = Float32Array.from(this.#recent.flatMap((samples) => [...samples.sorted()])).sort();
    this.#recent = [...this.#recent.slice(1 - RECENT_S), new Samples()];
    return latencyOf(all).p99_ms;
  }
}

export function progressLine(second: Second): string {
  const whole = (value: number) => Math.round(value).toLocaleString("en-US");
  const p99 = second.victims_p99_ms === null ? "-" : `${second.victims_p99_ms.toFixed(1)} ms`;
  return [
    `${second.phase.padEnd(8)}${second.at_s.toFixed(0).padStart(4)} s`,
    `accepted ${whole(second.accepted)} (${whole(second.accepted_per_s)}/s)`,
    `delivered ${whole(second.delivered)} (${whole(second.delivered_per_s)}/s)`,
    `in flight ${whole(second.in_flight)}`,
    `backlog ${whole(second.backlog)}`,
    `victims' p99 ${p99}`,
  ].join(" | ");
}
