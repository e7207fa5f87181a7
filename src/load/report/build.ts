// Makes the report of what a run has left in its books.

import { cpus, release, totalmem, type } from "node:os";
import type { Instance } from "../instance.ts";
import type { Ledger } from "../ledger.ts";
import type { Options } from "../options.ts";
import { type Latency, latencyOf, percentile, ratioOf, Samples } from "../percentiles.ts";
import type { Phases } from "../phases.ts";
import type { Poster } from "../poster.ts";
import { describeBehaviour } from "../receiver/behaviour.ts";
import type { Sampler } from "../sampler.ts";
import type { Group } from "../scenarios.ts";
import type { Timeline } from "../timeline.ts";
import type { GroupReport, LatencySecond, Report } from "./report.ts";

const MB = 1_048_576;

export type Books = {
  options: Options;
  instance: Instance;
  ledger: Ledger;
  /** As numbered in the ledger, the victims first. */
  groups: readonly Group[];
  poster: Poster;
  timeline: Timeline;
  phases: Phases;
  sampler: Sampler;
  notes: readonly string[];
  isInterrupted: boolean;
};

export function buildReport(books: Books): Report {
  const { options, instance, phases, poster, sampler } = books;
  const latencies = collectLatencies(books);
  const quiet = latencyOf(latencies.victims.quiet.sorted());
  const noise = latencyOf(latencies.victims.noise.sorted());
  const lastS = phases.spans.at(-1)?.to_s ?? 0;
  const processes = sampler.processes.map(({ name, cpuS, memoryBytesMax }) => ({
    name,
    cpu_s: cpuS,
    cpu_percent: lastS === 0 ? 0 : (100 * cpuS) / lastS,
    memory_mb_max: memoryBytesMax / MB,
  }));
  return {
    scenario: options.scenario,
    seed: options.seed,
    started_at: new Date(phases.startedAt).toISOString(),
    phases: phases.spans,
    interrupted: books.isInterrupted,
    notes: [...books.notes],
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cpus: cpus().length,
      memory_mb: Math.round(totalmem() / MB),
      system: `${type()} ${release()}`,
      bun: Bun.version,
    },
    fairpost: { url: instance.url, started_by_us: instance.isOwn, workers_started: instance.workers },
    accounting: accountingOf(books),
    answers: Object.fromEntries(poster.answers),
    victims: { quiet, noise, ratio: ratioOf(noise, quiet), ...answersOf(books) },
    throughput: throughputOf(books),
    groups: books.groups.map((group, index) => groupReport(books, group, index, latencies.groups[index])),
    workers: sampler.workers,
    processes,
    generator: generatorOf(poster.requests),
    timeline: books.timeline.seconds,
  };
}

function accountingOf({ ledger, poster }: Books): Report["accounting"] {
  const { findings } = ledger;
  const undelivered = ledger.undelivered();
  return {
    ...ledger.answers(),
    delivered: ledger.groups.reduce((sum, group) => sum + group.delivered, 0),
    attempts: findings.attempts,
    lost: undelivered.healthy,
    lost_examples: undelivered.named.map(({ event, webhook }) => ({ email: poster.emailOf(event), webhook })),
    undelivered_at_faulty: undelivered.faulty,
    duplicated: findings.duplicated,
    overlapping: findings.overlapping,
    out_of_order: findings.outOfOrder,
    out_of_order_at_healthy: findings.outOfOrderHealthy,
    misrouted: findings.misrouted,
    changed_ids: findings.changedIds,
    signatures_checked: findings.signaturesChecked,
    signatures_wrong: findings.signaturesWrong,
  };
}

/** How long the API took to answer the victims: the part of their latency that no worker has a share in. */
function answersOf({ ledger }: Books): { answer_quiet: Latency; answer_noise: Latency } {
  const answers = { "warm-up": new Samples(), quiet: new Samples(), noise: new Samples() };
  ledger.forEachAnswer((group, phase, latencyMs) => {
    if (group === 0) answers[phase].add(latencyMs);
  });
  return { answer_quiet: latencyOf(answers.quiet.sorted()), answer_noise: latencyOf(answers.noise.sorted()) };
}

function throughputOf({ phases, timeline }: Books): Report["throughput"] {
  const span = phases.spans.find(({ name }) => name === "noise");
  const during = timeline.seconds.filter(({ phase }) => phase === "noise");
  const [first, last] = [during[0], during.at(-1)];
  const seconds = span === undefined ? 0 : span.to_s - span.from_s;
  const elapsedS = (last?.at_s ?? 0) - (first?.at_s ?? 0);
  const perSecond = (member: "accepted" | "delivered") =>
    elapsedS === 0 ? (first?.[`${member}_per_s`] ?? 0) : ((last?.[member] ?? 0) - (first?.[member] ?? 0)) / elapsedS;
  return {
    seconds,
    accepted_per_s: perSecond("accepted"),
    delivered_per_s: perSecond("delivered"),
    delivered_per_s_peak: Math.max(0, ...timeline.seconds.map((second) => second.delivered_per_s)),
  };
}

function groupReport(
  { ledger }: Books,
  { name, users, webhooksPerUser, behaviourOf }: Group,
  index: number,
  latencies: GroupLatencies | undefined,
): GroupReport {
  const webhooks = users * webhooksPerUser;
  const receivers: Record<string, number> = {};
  for (let nth = 0; nth < webhooks; nth += 1) {
    const behaviour = describeBehaviour(behaviourOf(nth));
    receivers[behaviour] = (receivers[behaviour] ?? 0) + 1;
  }
  const { posted = 0, accepted = 0, delivered = 0 } = ledger.groups[index] ?? {};
  return {
    name,
    accounts: users,
    webhooks,
    receivers,
    posted,
    accepted,
    delivered,
    latency: latencyOf((latencies?.all ?? new Samples()).sorted()),
    latency_by_second: [...(latencies?.bySecond ?? [])].toSorted(([a], [b]) => a - b).map(latencySecond),
  };
}

function latencySecond([at_s, samples]: [number, Samples]): LatencySecond {
  const sorted = samples.sorted();
  const rank = (percent: number) => percentile(sorted, percent) ?? 0;
  return { at_s, p50_ms: rank(50), p99_ms: rank(99), max_ms: rank(100) };
}

type GroupLatencies = { all: Samples; bySecond: Map<number, Samples> };

function collectLatencies({ ledger, phases }: Books) {
  const victims = { quiet: new Samples(), noise: new Samples() };
  const groups: GroupLatencies[] = ledger.groups.map(() => ({ all: new Samples(), bySecond: new Map() }));
  ledger.forEachLatency((index, sentAt, phase, latencyMs) => {
    const group = groups[index];
    if (group === undefined) return;
    const second = Math.floor((sentAt - phases.startedAt) / 1_000);
    let samples = group.bySecond.get(second);
    if (samples === undefined) group.bySecond.set(second, (samples = new Samples()));
    samples.add(latencyMs);
    if (phase === "warm-up") return;
    group.all.add(latencyMs);
    if (index === 0) victims[phase].add(latencyMs);
  });
  return { victims, groups };
}

function generatorOf(requests: number): Report["generator"] {
  const { user, system } = process.cpuUsage();
  const cpuUs = requests === 0 ? null : (user + system) / requests;
  return {
    requests,
    cpu_us_per_request: cpuUs,
    requests_per_s_and_core: cpuUs === null ? null : 1_000_000 / cpuUs,
  };
}
