// Percentiles by nearest rank, exact: every latency is kept.

export type Latency = {
  count: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  max_ms: number | null;
};

/** The smallest value that at least `percent` % of all are not above. `sorted` ascending; null when it is empty. */
export function percentile(sorted: ArrayLike<number>, percent: number): number | null {
  if (sorted.length === 0) return null;
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1] ?? null;
}

export function latencyOf(sorted: ArrayLike<number>): Latency {
  return {
    count: sorted.length,
    p50_ms: percentile(sorted, 50),
    p95_ms: percentile(sorted, 95),
    p99_ms: percentile(sorted, 99),
    max_ms: percentile(sorted, 100),
  };
}

/** How many times each figure of `quiet` the same figure of `noise` is. */
export function ratioOf(noise: Latency, quiet: Latency): Omit<Latency, "count"> {
  const divide = (a: number | null, b: number | null) => (a === null || b === null || b === 0 ? null : a / b);
  return {
    p50_ms: divide(noise.p50_ms, quiet.p50_ms),
    p95_ms: divide(noise.p95_ms, quiet.p95_ms),
    p99_ms: divide(noise.p99_ms, quiet.p99_ms),
    max_ms: divide(noise.max_ms, quiet.max_ms),
  };
}

/** Numbers in a typed array that grows: a million of them are 4 MB. */
export class Samples {
  #values = new Float32Array(1_024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float32Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  sorted(): Float32Array {
    return this.#values.slice(0, this.#length).sort();
  }
}
