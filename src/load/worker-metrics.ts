// How many attempts each worker has made and what they have under way, from Fairpost's own GET /metrics.

const ATTEMPTS = "fairpost_attempts_total";
const IN_FLIGHT = "fairpost_requests_in_flight";

/** By worker, everything else together. `text` is Prometheus' exposition format. */
function sumByWorker(text: string, metric: string): Map<string, number> {
  const sums = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (!line.startsWith(`${metric}{`)) continue;
    const worker = /[{,]worker="([^"]*)"/.exec(line)?.[1];
    const value = Number(line.slice(line.lastIndexOf(" ") + 1));
    if (worker === undefined || Number.isNaN(value)) continue;
    sums.set(worker, (sums.get(worker) ?? 0) + value);
  }
  return sums;
}

/** Counts since the first text that was heard; a worker that has gone keeps what it had. */
export class WorkerAttempts {
  readonly #first = new Map<string, number>();
  readonly #last = new Map<string, number>();
  #isFirst = true;
  /** Requests under way when it was last heard; undefined while no worker has told. */
  inFlight: number | undefined;

  hear(metricsText: string): void {
    for (const [worker, attempts] of sumByWorker(metricsText, ATTEMPTS)) {
      if (!this.#first.has(worker)) this.#first.set(worker, this.#isFirst ? attempts : 0);
      this.#last.set(worker, attempts);
    }
    this.#isFirst = false;
    const inFlight = [...sumByWorker(metricsText, IN_FLIGHT).values()];
    this.inFlight = inFlight.length === 0 ? undefined : inFlight.reduce((sum, value) => sum + value, 0);
  }

  get attempts(): { worker: string; attempts: number }[] {
    return [...this.#last]
      .map(([worker, attempts]) => ({ worker, attempts: attempts - (this.#first.get(worker) ?? 0) }))
      .toSorted((a, b) => a.worker.localeCompare(b.worker));
  }
}
