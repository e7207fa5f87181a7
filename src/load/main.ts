// `bun run load`: see --help, or options.ts.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { HELP, type Options, parseOptions, UsageError } from "./options.ts";
import { htmlOf } from "./report/html.ts";
import type { Report } from "./report/report.ts";
import { terminalText } from "./report/text.ts";
import { Run } from "./run.ts";

/** Under npx one Ctrl-C arrives as two signals; a second one of its own comes later. */
const IMPATIENT_AFTER_MS = 1_000;
const INTERRUPTED = 130;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function options(): Options {
  try {
    const parsed = parseOptions(process.argv.slice(2));
    if (parsed !== undefined) return parsed;
    console.log(HELP);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\nbun run load --help says more.`);
    process.exit(2);
  }
}

function watchSignals(run: Run): void {
  let firstAt: number | undefined;
  const interrupt = () => {
    if (firstAt === undefined) {
      firstAt = systemClock.monotonic();
      say("interrupted: reporting what there is");
      run.interrupt();
    } else if (systemClock.monotonic() - firstAt >= IMPATIENT_AFTER_MS) {
      // What runs below us notices, and leaves by itself.
      process.exit(INTERRUPTED);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
}

function write(report: Report, folder: string): string[] {
  mkdirSync(folder, { recursive: true });
  const files = [
    { file: join(folder, `${report.scenario}.json`), text: `${JSON.stringify(report, undefined, 2)}\n` },
    { file: join(folder, `${report.scenario}.html`), text: htmlOf(report) },
  ];
  for (const { file, text } of files) writeFileSync(file, text);
  return files.map(({ file }) => file);
}

async function main(): Promise<number> {
  const chosen = options();
  const run = new Run({ options: chosen, clock: systemClock, say });
  watchSignals(run);
  const report = await run.run();
  console.log(`\n${terminalText(report)}\n`);
  for (const file of write(report, resolve(chosen.out))) console.log(file);
  if (report.interrupted) return INTERRUPTED;
  return report.accounting.lost > 0 ? 1 : 0;
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
