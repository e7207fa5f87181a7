// Arrays as Postgres' text form, for batched statements: the driver would escape every element by a regular expression,
// which costs more than everything else of a batch.

/** Of elements that need no quotes: UUIDs and numbers. */
export function plainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** Of any text; most elements of ours are null. */
export function textArray(values: readonly (string | null)[]): string {
  return `{${values.map((value) => (value === null ? "NULL" : quoted(value))).join(",")}}`;
}

function quoted(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
