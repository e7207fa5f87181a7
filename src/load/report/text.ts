// Numbers for people, and the report as a table for the terminal.

import type { Latency } from "../percentiles.ts";
import type { Report } from "./report.ts";

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function milliseconds(value: number | null): string {
  if (value === null) return "-";
  if (value >= 10_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

export function times(value: number | null): string {
  return value === null ? "-" : `${value.toFixed(2)} x`;
}

/** Rows of cells under a title; the first column is names. */
export type Table = { title: string; head: string[]; rows: string[][] };

export function tablesOf(report: Report): Table[] {
  const { accounting, victims, throughput } = report;
  const latencyCells = (latency: Latency) => [
    whole(latency.count),
    ...[latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms].map(milliseconds),
  ];
  const { ratio } = victims;
  const latencyHead = ["n", "p50", "p95", "p99", "max"];
  return [
    {
      title: "Victims: from the POST's sending to the receiver's first byte",
      head: ["", ...latencyHead],
      rows: [
        ["quiet", ...latencyCells(victims.quiet)],
        ["beside the noise", ...latencyCells(victims.noise)],
        ["ratio", "", ...[ratio.p50_ms, ratio.p95_ms, ratio.p99_ms, ratio.max_ms].map(times)],
        ["until the API's answer, quiet", ...latencyCells(victims.answer_quiet)],
        ["until the API's answer, noise", ...latencyCells(victims.answer_noise)],
      ],
    },
    {
      title: "Everything accepted and everything that came",
      head: ["", ""],
      rows: [
        ["events posted", whole(accounting.posted)],
        [
          "accepted / refused / unanswered",
          [accounting.accepted, accounting.refused, accounting.unanswered].map(whole).join(" / "),
        ],
        [
          "answers",
          Object.entries(report.answers)
            .map(([answer, count]) => `${answer}: ${whole(count)}`)
            .join(", "),
        ],
        ["deliveries made", whole(accounting.delivered)],
        ["attempts seen", whole(accounting.attempts)],
        ["LOST", lostText(report)],
        ["not delivered to faulty receivers", whole(accounting.undelivered_at_faulty)],
        ["duplicated", whole(accounting.duplicated)],
        ["overlapping", whole(accounting.overlapping)],
        [
          "out of order (at healthy receivers)",
          `${whole(accounting.out_of_order)} (${whole(accounting.out_of_order_at_healthy)})`,
        ],
        ["misrouted / changed ids", `${whole(accounting.misrouted)} / ${whole(accounting.changed_ids)}`],
        [
          "signatures wrong, of those checked",
          `${whole(accounting.signatures_wrong)} of ${whole(accounting.signatures_checked)}`,
        ],
      ],
    },
    {
      title: "Accounts, by how they behave",
      head: ["", "accounts", "webhooks", "accepted", "delivered", ...latencyHead, "receivers"],
      rows: report.groups.map((group) => [
        group.name,
        whole(group.accounts),
        whole(group.webhooks),
        whole(group.accepted),
        whole(group.delivered),
        ...latencyCells(group.latency),
        Object.entries(group.receivers)
          .map(([behaviour, count]) => `${whole(count)} x ${behaviour}`)
          .join(", "),
      ]),
    },
    {
      title: `Throughput in the ${throughput.seconds.toFixed(1)} noisy seconds`,
      head: ["", "per second"],
      rows: [
        ["events accepted", whole(throughput.accepted_per_s)],
        ["deliveries made", whole(throughput.delivered_per_s)],
        ["deliveries, the best second", whole(throughput.delivered_per_s_peak)],
      ],
    },
    {
      title: "Attempts by worker",
      head: ["", "attempts", "share"],
      rows: report.workers.map(({ worker, attempts }) => [worker, whole(attempts), share(attempts, report)]),
    },
    {
      title: "Processes",
      head: ["", "CPU s", "CPU %", "memory, MB at most"],
      rows: report.processes.map((process_) => [
        process_.name,
        process_.cpu_s.toFixed(1),
        process_.cpu_percent.toFixed(0),
        whole(process_.memory_mb_max),
      ]),
    },
  ];
}

/** One line on the generator's own cost: what part of a figure is ours. */
export function generatorLine({ generator }: Report): string {
  const { requests, cpu_us_per_request: cpuUs, requests_per_s_and_core: rate } = generator;
  if (cpuUs === null || rate === null) return "The generator posted nothing.";
  return `The generator made ${whole(requests)} requests at ${whole(cpuUs)} µs of CPU each, start to end: ${whole(rate)}/s a core.`;
}

export function lostText({ accounting, interrupted }: Report): string {
  return `${whole(accounting.lost)}${interrupted ? " not delivered when it was interrupted" : ""}`;
}

export function terminalText(report: Report): string {
  const notes = report.notes.map((note) => `Note: ${note}`);
  return [...tablesOf(report).map(tableText), generatorLine(report), ...notes].join("\n\n");
}

function share(attempts: number, { workers }: Report): string {
  const total = workers.reduce((sum, worker) => sum + worker.attempts, 0);
  return total === 0 ? "-" : `${((100 * attempts) / total).toFixed(1)} %`;
}

function tableText({ title, head, rows }: Table): string {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")}`.trimEnd();
  return [title, ...(head.some(Boolean) ? [line(head)] : []), ...rows.map(line)].join("\n");
}
