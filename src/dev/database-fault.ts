// What goes wrong with a database before anything runs: in a line that names the setting and the reason, with neither a
// password nor a statement.

/** `work` on the database at `url`, which is DATABASE_URL or that of our own Postgres. Throws with a message as above. */
export async function orDatabaseFault<Result>(
  url: string,
  isEmbedded: boolean,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    // Imported late: in a fresh clone the packages have only just been installed.
    const { describeError } = await import("../observe/log.ts");
    const name = isEmbedded ? "The embedded Postgres, " : "DATABASE_URL=";
    throw new Error(`${name}${withoutPassword(url)}: ${describeError(error)}`);
  }
}

/** Nor anything behind the name of the database, where a password may stand as well. */
function withoutPassword(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === "" ? "" : `${username}@`}${host}${pathname}`;
}
