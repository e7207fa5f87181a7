// The report as one HTML page that needs nothing else.

import { barChart } from "./bar-chart.ts";
import { type Band, escapeHtml, type Line, lineChart } from "./line-chart.ts";
import type { LatencySecond, Report } from "./report.ts";
import { STYLE } from "./style.ts";
import { generatorLine, lostText, milliseconds, type Table, tablesOf, times, whole } from "./text.ts";

export function htmlOf(report: Report): string {
  const title = `Fairpost under load: ${report.scenario}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<p class="where">${escapeHtml(whereText(report))}</p>
${report.notes.map((note) => `<p class="note">${escapeHtml(note)}</p>`).join("\n")}
<div class="tiles">${tiles(report).map(tileHtml).join("")}</div>
${charts(report)}
${tablesOf(report).map(tableHtml).join("\n")}
<p class="where">${escapeHtml(generatorLine(report))}</p>
</body>
</html>
`;
}

function charts(report: Report): string {
  const bands: Band[] = report.phases.map(({ name, from_s, to_s }) => ({ name, from: from_s, to: to_s }));
  const bySecond = (member: "accepted_per_s" | "delivered_per_s" | "backlog" | "in_flight") =>
    report.timeline.map((second) => [second.at_s, Math.max(0, second[member])] as const);
  const [victims, ...noisy] = report.groups;
  return [
    lineChart({
      title: "Latency by the second in which the event was posted",
      label: latencyLabel,
      isLogarithmic: true,
      bands,
      lines: [
        ...latencyLines("victims", victims?.latency_by_second ?? []),
        ...noisy.flatMap(({ name, latency_by_second }) => latencyLines(name, latency_by_second).slice(1)),
      ],
    }),
    lineChart({
      title: "Throughput",
      label: (value) => `${whole(value)}/s`,
      bands,
      lines: [
        { name: "deliveries made", points: bySecond("delivered_per_s") },
        { name: "events accepted", points: bySecond("accepted_per_s") },
      ],
    }),
    lineChart({
      title: "Backlog: deliveries of accepted events that are still to be made",
      label: whole,
      bands,
      lines: [
        { name: "backlog", points: bySecond("backlog") },
        { name: "requests in flight", points: bySecond("in_flight") },
      ],
    }),
    barChart(
      "Attempts by worker",
      report.workers.map(({ worker, attempts }) => ({ name: worker, value: attempts })),
    ),
  ].join("\n");
}

function latencyLines(name: string, seconds: readonly LatencySecond[]): Line[] {
  return [
    { name: `${name}, p50`, points: seconds.map(({ at_s, p50_ms }) => [at_s, p50_ms]), isThin: true },
    { name: `${name}, p99`, points: seconds.map(({ at_s, p99_ms }) => [at_s, p99_ms]) },
  ];
}

/** Of a power of ten. */
function latencyLabel(ms: number): string {
  return ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`;
}

type Tile = { label: string; value: string; kind: "good" | "bad" | "plain" };

function tiles(report: Report): Tile[] {
  const { accounting, victims, throughput } = report;
  const mustBeNone = (label: string, count: number, text = whole(count)): Tile => ({
    label,
    value: text,
    kind: count === 0 ? "good" : "bad",
  });
  return [
    { label: "victims' p99, beside noise / quiet", value: times(victims.ratio.p99_ms), kind: "plain" },
    { label: "victims' p99 beside the noise", value: milliseconds(victims.noise.p99_ms), kind: "plain" },
    { label: "deliveries a second", value: whole(throughput.delivered_per_s), kind: "plain" },
    mustBeNone("lost", accounting.lost, lostText(report)),
    mustBeNone("duplicated", accounting.duplicated),
    mustBeNone("overlapping", accounting.overlapping),
    { label: "out of order", value: whole(accounting.out_of_order), kind: "plain" },
  ];
}

function whereText({ started_at, seed, machine, fairpost, interrupted }: Report): string {
  const service = fairpost.started_by_us
    ? `an instance of its own with ${fairpost.workers_started} worker(s)`
    : `${fairpost.url} with ${fairpost.workers_started} worker(s) added`;
  const { cpus, cpu, memory_mb, system, bun } = machine;
  const ended = interrupted ? ". Interrupted" : "";
  return `${started_at}, seed ${seed}; ${service}; ${cpus} x ${cpu}, ${whole(memory_mb)} MB, ${system}, Bun ${bun}${ended}`;
}

function tileHtml({ label, value, kind }: Tile): string {
  return `<div class="tile ${kind}"><b>${escapeHtml(value)}</b>${escapeHtml(label)}</div>`;
}

function tableHtml({ title, head, rows }: Table): string {
  const cells = (tag: "th" | "td", row: string[]) => row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("");
  const header = head.some(Boolean) ? `<thead><tr>${cells("th", head)}</tr></thead>` : "";
  const body = rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("\n");
  return `<h2>${escapeHtml(title)}</h2>\n<table>${header}<tbody>${body}</tbody></table>`;
}
