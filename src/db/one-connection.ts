// A connection for work that is done once, such as migrating. The driver connects again for ever while a first statement
// waits, so what accepts connections and is no Postgres would never be noticed: the first answer has a deadline. The work
// itself may take as long as it takes.

import postgres from "postgres";
import { type Clock, systemClock } from "../lib/clock.ts";

const ANSWER_TIMEOUT_MS = 10_000;
/** What statements under way get to end in order. */
const END_PATIENCE_S = 5;

export async function withOneConnection<Result>(
  url: string,
  work: (sql: postgres.Sql) => PromiseLike<Result>,
  clock: Clock = systemClock,
): Promise<Result> {
  let closed = 0;
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    // Asked at the end of each connection: the wait until the next, seconds.
    backoff(tries) {
      closed += 1;
      return Math.min(0.1 * 2 ** tries, 2);
    },
  });
  const answer = Promise.withResolvers<void>();
  const timer = clock.after(ANSWER_TIMEOUT_MS, () => {
    const tried = closed === 0 ? "" : `; ${closed} connections were closed before one`;
    answer.reject(new Error(`no answer as from Postgres within ${ANSWER_TIMEOUT_MS / 1_000} s${tried}`));
  });
  let hasAnswered = false;
  try {
    sql`SELECT 1`.then(() => answer.resolve(), answer.reject);
    await answer.promise;
    hasAnswered = true;
    timer.cancel();
    return await work(sql);
  } finally {
    timer.cancel();
    await sql.end({ timeout: hasAnswered ? END_PATIENCE_S : 0 });
  }
}
