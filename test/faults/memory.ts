// What processes take in memory while something goes on: resident megabytes at the beginning and at most.

import { readFileSync } from "node:fs";
import { systemClock, type Timer } from "../../src/lib/clock.ts";
import type { Fleet } from "./fleet.ts";

export type Memory = { firstMb: number; mostMb: number; lastMb: number };

const INTERVAL_MS = 500;

export class MemoryWatch {
  readonly #fleet: Fleet;
  readonly #seen = new Map<number, Memory & { name: string }>();
  #timer: Timer | undefined;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.#look();
  }

  /** `api-0 120→130→125 MB` and so on: first, most, last. */
  stop(): string {
    this.#timer?.cancel();
    return [...this.#seen.values()]
      .map(({ name, firstMb, mostMb, lastMb }) => `${name} ${firstMb}→${mostMb}→${lastMb} MB`)
      .join(", ");
  }

  most(role: "api" | "worker"): Memory {
    const all = [...this.#seen.values()].filter(({ name }) => name.startsWith(role));
    return (
      all.toSorted((a, b) => b.mostMb - b.firstMb - (a.mostMb - a.firstMb))[0] ?? { firstMb: 0, mostMb: 0, lastMb: 0 }
    );
  }

  #look(): void {
    for (const { pid, name } of this.#fleet.running()) {
      const mb = residentMb(pid);
      if (mb === undefined) continue;
      const seen = this.#seen.get(pid) ?? { name, firstMb: mb, mostMb: mb, lastMb: mb };
      seen.lastMb = mb;
      seen.mostMb = Math.max(seen.mostMb, mb);
      this.#seen.set(pid, seen);
    }
    this.#timer = systemClock.after(INTERVAL_MS, () => this.#look());
  }
}

function residentMb(pid: number): number | undefined {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Math.round(Number(kilobytes) / 1_024);
  } catch {
    return undefined;
  }
}
