// Why something did not start, in a line: the reason and, of a database, the setting, with neither a password nor a statement.

/** `work` on the database at `url`, which is DATABASE_URL or that of our own Postgres. Throws with a message as above. */
export async function orDatabaseFault<Result>(
  url: string,
  isEmbedded: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const name = isEmbedded ? "The embedded Postgres, " : "DATABASE_URL=";
    throw new Error(`${name}${withoutPassword(url)}: ${await describe(error)}`);
  }
}

/** The driver's errors are wrapped in statements with users' data, and ours in sentences that say the reason themselves. */
export async function reasonOf(error: unknown): Promise<string> {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  const reason = await describe(error);
  return error.message.includes(reason) ? error.message : reason;
}

/** Imported late: in a fresh clone the packages have only just been installed. */
async function describe(error: unknown): Promise<string> {
  const { describeError } = await import("../observe/log.ts");
  return describeError(error);
}

/** Nor anything behind the name of the database, where a password may stand as well. */
function withoutPassword(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname}`;
}
