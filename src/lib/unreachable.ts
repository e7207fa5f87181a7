/** Closes a switch over a union: the compiler rejects a missing case, the run-time one names what it met. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
