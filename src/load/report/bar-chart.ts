// One bar per name, as an inline SVG.

import { escapeHtml } from "./line-chart.ts";
import { whole } from "./text.ts";

const WIDTH = 960;
const ROW = 26;
const BAR = { left: 330, right: 820 };

export function barChart(title: string, bars: readonly { name: string; value: number }[]): string {
  if (bars.length === 0) return "";
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const total = Math.max(
    1,
    bars.reduce((sum, { value }) => sum + value, 0),
  );
  const rows = bars.map(({ name, value }, index) => {
    const y = index * ROW;
    const width = (value / most) * (BAR.right - BAR.left);
    const share = `${whole(value)} (${((100 * value) / total).toFixed(1)} %)`;
    return `<text x="${BAR.left - 8}" y="${y + 17}" text-anchor="end">${escapeHtml(name)}</text>
<rect class="bar" x="${BAR.left}" y="${y + 4}" width="${width.toFixed(1)}" height="${ROW - 8}"/>
<text x="${(BAR.left + width + 6).toFixed(1)}" y="${y + 17}">${share}</text>`;
  });
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${bars.length * ROW + 4}" role="img" aria-label="${escapeHtml(title)}">
${rows.join("\n")}
</svg></figure>`;
}
