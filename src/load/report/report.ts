// What a run has found, as the JSON report has it; the table and the HTML page show the same.

import type { Latency } from "../percentiles.ts";
import type { Second } from "../timeline.ts";

/** Latencies of what was sent in one second. */
export type LatencySecond = { at_s: number; p50_ms: number; p99_ms: number; max_ms: number };

export type GroupReport = {
  name: string;
  accounts: number;
  webhooks: number;
  /** How its receivers behave, and how many of them. */
  receivers: Record<string, number>;
  posted: number;
  accepted: number;
  delivered: number;
  /** Of all its first arrivals, warm-up aside. */
  latency: Latency;
  latency_by_second: LatencySecond[];
};

export type Report = {
  scenario: string;
  seed: number;
  started_at: string;
  /** Seconds of the phases' ends since the start. */
  phases: { name: string; from_s: number; to_s: number }[];
  interrupted: boolean;
  notes: string[];
  machine: { cpu: string; cpus: number; memory_mb: number; system: string; bun: string };
  fairpost: { url: string; started_by_us: boolean; workers_started: number };
  accounting: {
    posted: number;
    accepted: number;
    refused: number;
    /** POSTs without an answer: nobody knows whether they were accepted. */
    unanswered: number;
    delivered: number;
    attempts: number;
    /** Deliveries of accepted events that never arrived at a healthy receiver. */
    lost: number;
    lost_examples: { email: string; webhook: number }[];
    /** To receivers that are slow, dead or fail: nobody's loss, they are still being tried. */
    undelivered_at_faulty: number;
    duplicated: number;
    overlapping: number;
    /** Delivered after something that was posted only when this had been accepted. */
    out_of_order: number;
    out_of_order_at_healthy: number;
    misrouted: number;
    changed_ids: number;
    signatures_checked: number;
    signatures_wrong: number;
  };
  answers: Record<string, number>;
  /** From the POST's sending to the receiver's first byte, and (`answer_`) to the API's answer. */
  victims: {
    quiet: Latency;
    noise: Latency;
    ratio: Omit<Latency, "count">;
    answer_quiet: Latency;
    answer_noise: Latency;
  };
  /** In the noisy phase. */
  throughput: { seconds: number; accepted_per_s: number; delivered_per_s: number; delivered_per_s_peak: number };
  groups: GroupReport[];
  workers: { worker: string; attempts: number }[];
  processes: { name: string; cpu_s: number; cpu_percent: number; memory_mb_max: number }[];
  generator: { requests: number; cpu_us_per_request: number | null; requests_per_s_and_core: number | null };
  timeline: Second[];
};
