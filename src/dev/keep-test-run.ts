// Holds a test run for a plain `bun test`, which tells nobody that it ends: prints the run's folder and database URL as
// one line of JSON, and takes everything down when its standard input closes, however the runner ended.

import { TestRun } from "./test-run.ts";

// A Ctrl-C goes to the whole terminal; the runner's end is what counts.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

const run = new TestRun();
try {
  await run.start();
  console.log(JSON.stringify({ folder: run.folder, databaseUrl: run.databaseUrl }));
  for await (const _ of Bun.stdin.stream()) {
    // Nothing is ever sent.
  }
} finally {
  await run.stop();
}
process.exit(0);
