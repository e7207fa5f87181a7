// `bun run test [files and options of bun test]`: every test on a Postgres and NATS of its own, gone afterwards.
// The last line is `N passed, N failed` from the runner's report; exit code 1 if anything failed.

import { systemClock } from "../lib/clock.ts";
import { watchExitSignals } from "./exit-signals.ts";
import { installWhatIsMissing } from "./install.ts";
import { TestRun } from "./test-run.ts";

await installWhatIsMissing("develop");
const run = new TestRun();

const leave = (): never => process.exit(130);
let isInterrupted = false;
watchExitSignals({
  clock: systemClock,
  onExit: () => {
    isInterrupted = true;
    run.stop().then(leave, leave);
  },
  onImpatience: leave,
});

let counts = { passed: 0, failed: 1 };
try {
  await run.start();
  counts = await run.runTests(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
} finally {
  await run.stop();
}
if (!isInterrupted) {
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
  process.exit(counts.failed > 0 ? 1 : 0);
}
