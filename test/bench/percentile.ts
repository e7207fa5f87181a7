/** The value below which the share `of` of `values` lies, to a tenth; NaN for none. */
export function percentile(values: readonly number[], of: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * of))];
  return value === undefined ? Number.NaN : Math.round(value * 10) / 10;
}
