// Where a worker shares its cores with the API, accepting comes first: a backlog is not what callers wait for.

import { setPriority } from "node:os";

/** A third of the processor share of an ordinary process that wants it too; all of it while nobody else does. */
const WORKER_NICENESS = 5;

export function giveWay(): void {
  setPriority(WORKER_NICENESS);
}
