// Reads the answer to a batch: what became of each of its items, in their order.

type Item = { id?: unknown; status?: unknown; subscriber?: unknown; error?: unknown };

const ACCEPTED_STATUSES: readonly unknown[] = [200, 201, "created", "accepted"];

/** One entry per item. Throws when a success does not say what became of `size` items. */
export function acceptedInBatch(status: number, text: string, size: number): boolean[] {
  if (status >= 300) return Array.from({ length: size }, () => false);
  const items = listIn(JSON.parse(text));
  if (items?.length !== size)
    throw new Error(`the answer to a batch does not list its ${size} items: ${text.slice(0, 200)}`);
  return items.map(isAccepted);
}

function listIn(answer: unknown): Item[] | undefined {
  if (Array.isArray(answer)) return answer as Item[];
  if (typeof answer !== "object" || answer === null) return undefined;
  return Object.values(answer).find((value): value is Item[] => Array.isArray(value));
}

function isAccepted(item: Item): boolean {
  if (item.error !== undefined && item.error !== null) return false;
  // A subscriber has a status of its own ("active"), and an id: then it was made.
  if (typeof item.status === "number" || ACCEPTED_STATUSES.includes(item.status)) {
    return ACCEPTED_STATUSES.includes(item.status);
  }
  return item.id !== undefined || item.subscriber !== undefined;
}
