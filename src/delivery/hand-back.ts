// What goes back to the table when too much waits in this worker: of the users who have most, down to a level that
// suffices; of each of those from the longest mailboxes, and of each mailbox the younger part.

import type { Mailbox } from "../actor/mailbox.ts";
import type { UserId } from "../domain/ids.ts";
import type { Priority } from "../domain/priority.ts";
import type { HeldMessages, Measure } from "./held.ts";
import type { Held } from "./ports.ts";

type Actor = { key: { userId: UserId }; mailbox: Mailbox<Priority, Held> };

/** How much there is of what waits: by whichever of them it is too much. */
export const MEASURES: readonly Measure[] = ["count", "bytes"];

/** Takes out of the mailboxes what is too much by `measure`, or as much of it as waits there: the rest is being checked. */
export function longestTails(held: HeldMessages, measure: Measure, actors: Iterable<Actor>): Held[] {
  const waiting = held.waitingByUser(measure);
  const level = levelThatFrees(held.excess(measure), [...waiting.values()]);
  const tails: Held[] = [];
  for (const [userId, own] of Map.groupBy(actors, ({ key }) => key.userId)) {
    const surplus = (waiting.get(userId) ?? 0) - level;
    if (surplus > 0) tails.push(...tailsOf(own, measure, surplus));
  }
  return tails;
}

/** The level to which the largest of `sizes` must be cut so that all that is cut off comes to `excess`. */
export function levelThatFrees(excess: number, sizes: readonly number[]): number {
  const largestFirst = sizes.toSorted((a, b) => b - a);
  let sum = 0;
  for (const [index, size] of largestFirst.entries()) {
    sum += size;
    const level = (sum - excess) / (index + 1);
    if (level >= (largestFirst[index + 1] ?? 0)) return Math.max(0, Math.floor(level));
  }
  return 0;
}

/** The mailboxes of one user, always cut to the same level. */
function tailsOf(actors: readonly Actor[], measure: Measure, surplus: number): Held[] {
  const sizes = actors.map(({ mailbox }) =>
    measure === "count" ? mailbox.size : mailbox.messages().reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const level = levelThatFrees(surplus, sizes);
  const tails: Held[] = [];
  let freed = 0;
  for (const [index, { mailbox }] of actors.entries()) {
    for (let size = sizes[index] ?? 0; size > level && freed < surplus;) {
      const tail = mailbox.popTail();
      if (tail === undefined) break;
      const amount = measure === "count" ? 1 : tail.bytes;
      size -= amount;
      freed += amount;
      tails.push(tail);
    }
  }
  return tails;
}
