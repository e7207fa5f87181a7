// Counters and gauges in Prometheus' text form. Every metric is declared in METRICS; test/tidy.test.ts compares it with
// README's table.

export const METRICS = {
  fairpost_events_accepted_total: { type: "counter", help: "Events accepted by a process." },
  fairpost_deliveries_published_total: { type: "counter", help: "Deliveries published to the stream, by origin." },
  fairpost_attempts_total: { type: "counter", help: "Attempts, by outcome: accepted, gone, failed." },
  fairpost_partitions: { type: "gauge", help: "Partitions that a worker owns." },
  fairpost_leases_lost_total: { type: "counter", help: "Leases that a worker lost without giving them back." },
  fairpost_takeovers_total: {
    type: "counter",
    help: "Partitions taken over at once from a worker that died on the same machine.",
  },
  fairpost_requests_in_flight: { type: "gauge", help: "Requests to receivers under way." },
  fairpost_messages_held: { type: "gauge", help: "Messages in a worker's hands: waiting, in flight or unrecorded." },
  fairpost_messages_held_bytes: { type: "gauge", help: "Memory that they take, roughly." },
  fairpost_mailbox_depth: { type: "gauge", help: "Messages that wait in mailboxes." },
  fairpost_endpoint_actors: { type: "gauge", help: "Endpoint actors in memory." },
  fairpost_results_waiting: { type: "gauge", help: "Results of attempts that are not recorded yet." },
  fairpost_publishes_outstanding: { type: "gauge", help: "Publishes without an answer yet." },
  fairpost_nats_connected: { type: "gauge", help: "1 while the API is connected to NATS." },
  fairpost_memory_bytes: { type: "gauge", help: "Resident memory of a process." },
} as const satisfies Record<string, { type: "counter" | "gauge"; help: string }>;

export type MetricName = keyof typeof METRICS;
export type Labels = Readonly<Record<string, string>>;
export type Sample = { name: MetricName; labels: Labels; value: number };

/** The counters of one process. Gauges are read when they are asked for. */
export class Counters {
  readonly #samples: Sample[] = [];

  /** A counter of its own from 0 on; call the answer to add to it. */
  counter(name: MetricName, labels: Labels): (by: number) => void {
    const sample = { name, labels, value: 0 };
    this.#samples.push(sample);
    return (by) => {
      sample.value += by;
    };
  }

  samples(): Sample[] {
    return [...this.#samples];
  }
}

/** The exposition format, version 0.0.4. */
export function prometheusText(samples: readonly Sample[]): string {
  const lines: string[] = [];
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    const own = samples.filter((sample) => sample.name === name);
    if (own.length === 0) continue;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { labels, value } of own) lines.push(`${name}${labelText(labels)} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
