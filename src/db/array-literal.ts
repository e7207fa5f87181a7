// Arrays as Postgres' text form, for batched statements: the driver would escape every element by a regular expression,
// which costs more than everything else of a batch.

/** Of elements that need no quotes: UUIDs and numbers. */
export function plainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** For `unnest` beside other arrays, which fills what is missing with nulls: an array of nulls alone need not be sent. */
export function sparseArray(values: readonly (string | number | null)[]): string | null {
  return values.every((value) => value === null) ? null : plainArray(values);
}

/** The same of any text. */
export function sparseTextArray(values: readonly (string | null)[]): string | null {
  return sparseArray(values.map((value) => (value === null ? null : quoted(value))));
}

function quoted(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
