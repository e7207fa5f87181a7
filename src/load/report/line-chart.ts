// Lines over time as an inline SVG: no script, no asset, readable in light and dark.

export type Line = { name: string; points: readonly (readonly [x: number, y: number])[]; isThin?: boolean };
export type Band = { name: string; from: number; to: number };

export type LineChart = {
  title: string;
  label: (value: number) => string;
  lines: readonly Line[];
  bands: readonly Band[];
  /** Powers of ten; for latencies. */
  isLogarithmic?: boolean;
};

const WIDTH = 960;
const HEIGHT = 280;
const PLOT = { left: 70, right: 935, top: 34, bottom: 250 };
const TICKS = 5;
/** As many as the style sheet has. */
const COLOURS = 8;

type Scale = { ticks: number[]; y: (value: number) => number };

export function lineChart(chart: LineChart): string {
  const points = chart.lines.flatMap((line) => line.points);
  if (points.length === 0) return "";
  const xMax = Math.max(...chart.bands.map(({ to }) => to), ...points.map(([x]) => x), 1);
  const x = (value: number) => PLOT.left + (value / xMax) * (PLOT.right - PLOT.left);
  const values = points.map(([, value]) => value);
  const scale = chart.isLogarithmic === true ? logarithmic(values) : linear(values);
  return `<figure><figcaption>${escapeHtml(chart.title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(chart.title)}">
${chart.bands.map((band, index) => bandSvg(band, index, x)).join("\n")}
${scale.ticks.map((tick) => tickSvg(tick, scale, chart.label(tick))).join("\n")}
${[0, 0.25, 0.5, 0.75, 1].map((part) => text(x(part * xMax), PLOT.bottom + 18, `${(part * xMax).toFixed(0)} s`, "middle")).join("\n")}
${chart.lines.map((line, index) => lineSvg(line, index, x, scale)).join("\n")}
</svg>${legend(chart.lines)}</figure>`;
}

export function escapeHtml(raw: string): string {
  return raw.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function linear(values: number[]): Scale {
  const step = niceStep(values.reduce((most, value) => Math.max(most, value), 0) / TICKS);
  const top = step * TICKS;
  const y = (value: number) => PLOT.bottom - (value / top) * (PLOT.bottom - PLOT.top);
  return { ticks: Array.from({ length: TICKS + 1 }, (_, index) => index * step), y };
}

function logarithmic(values: number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const exponent = (value: number) => Math.log10(value);
  const low = Math.floor(exponent(positive.reduce((least, value) => Math.min(least, value), 1)));
  const high = Math.max(low + 1, Math.ceil(exponent(positive.reduce((most, value) => Math.max(most, value), 0.001))));
  const y = (value: number) => {
    const part = (exponent(Math.max(value, 10 ** low)) - low) / (high - low);
    return PLOT.bottom - part * (PLOT.bottom - PLOT.top);
  };
  return { ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)), y };
}

/** 1, 2 or 5 times a power of ten, not below `wanted`. */
function niceStep(wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 0.2)));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= wanted) ?? 10);
}

function bandSvg({ name, from, to }: Band, index: number, x: (value: number) => number): string {
  const width = Math.max(0, x(to) - x(from));
  const label = width > name.length * 8 ? text(x(from) + 4, PLOT.top - 8, name, "start") : "";
  return `<rect class="band${index % 2}" x="${x(from).toFixed(1)}" y="${PLOT.top}" width="${width.toFixed(1)}" height="${PLOT.bottom - PLOT.top}"/>${label}`;
}

function tickSvg(tick: number, { y }: Scale, label: string): string {
  const at = y(tick).toFixed(1);
  return `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${at}" y2="${at}"/>${text(PLOT.left - 6, y(tick) + 4, label, "end")}`;
}

function lineSvg({ points, isThin }: Line, index: number, x: (value: number) => number, { y }: Scale): string {
  const path = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return `<polyline class="line c${index % COLOURS}${isThin === true ? " thin" : ""}" points="${path}"/>`;
}

function legend(lines: readonly Line[]): string {
  const items = lines.map(
    ({ name, isThin }, index) =>
      `<span><i class="c${index % COLOURS}${isThin === true ? " thin" : ""}"></i>${escapeHtml(name)}</span>`,
  );
  return `<div class="legend">${items.join("")}</div>`;
}

function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;
}
