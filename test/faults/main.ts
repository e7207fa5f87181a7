// `bun run test:faults [names]`: the fault table, with real processes. Exit code 1 if any row has a violation.

import { runBacklog } from "./backlog.ts";
import { FAULTS, haveOwnServers } from "./faults.ts";
import { type Row, runFault } from "./run-fault.ts";
import { Servers } from "./servers.ts";
import { violations } from "./verdict.ts";

const BACKLOG = "backlog";

const USAGE = `Usage: bun run test:faults [--verbose] [fault ...]

Runs Fairpost as processes on a Postgres and a NATS of its own, under load, and breaks something. Without names: all.

${FAULTS.map(({ name, about }) => `  ${name.padEnd(28)}${about}`).join("\n")}
  ${BACKLOG.padEnd(28)}200,000 deliveries for receivers that hang: memory, and what a healthy receiver notices

The columns: deliveries accepted (an answer 201 or 202 was seen) and delivered; requests for what had been delivered
already (duplicates, with the same webhook-id); requests at once to one endpoint (overlaps); and how long it took until
every endpoint concerned had a request again.
`;

const asked = process.argv.slice(2);
if (asked.includes("--help") || asked.includes("-h")) {
  console.log(USAGE);
  process.exit(0);
}
const isVerbose = asked.includes("--verbose");
const names = asked.filter((word) => word !== "--verbose");
const unknown = names.filter((name) => name !== BACKLOG && !FAULTS.some((fault) => fault.name === name));
if (unknown.length > 0) {
  console.error(`There is no fault ${unknown.join(", ")}.\n\n${USAGE}`);
  process.exit(2);
}

const COLUMNS = ["accepted", "delivered", "duplicates", "overlaps", "take-over"] as const;
const WIDTHS = [10, 10, 11, 9, 10];

function line(name: string, cells: readonly string[]): string {
  return name.padEnd(28) + cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(" ");
}

function cellsOf(row: Row): string[] {
  const takeOver = row.takeOverMs === undefined ? "-" : `${(row.takeOverMs / 1_000).toFixed(1)} s`;
  return [row.accepted, row.delivered, row.duplicates, row.overlaps, takeOver].map(String);
}

const servers = await Servers.start();
haveOwnServers(servers);
let failed = 0;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    const leave = () => process.exit(130);
    servers.stop({ keepFolder: false }).then(leave, leave);
  });
}
try {
  console.log(line("fault", COLUMNS));
  for (const fault of FAULTS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    try {
      const row = await runFault(fault);
      const wrong = violations(row);
      console.log(line(fault.name, cellsOf(row)));
      if (isVerbose) console.log(`  answers: ${row.answers}; memory: ${row.memory}`);
      if (wrong.length === 0) continue;
      failed += 1;
      console.log(`  VIOLATION: ${wrong.join(", ")} (logs: ${row.logs})`);
    } catch (error) {
      failed += 1;
      console.log(`${fault.name.padEnd(28)}FAILED: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (names.length === 0 || names.includes(BACKLOG)) {
    const { lines, wrong } = await runBacklog();
    for (const text of lines) console.log(`${BACKLOG.padEnd(28)}${text}`);
    if (wrong.length > 0) {
      failed += 1;
      console.log(`  VIOLATION: ${wrong.join(", ")}`);
    }
  }
} finally {
  await servers.stop({ keepFolder: failed > 0 });
}
process.exit(failed > 0 ? 1 : 0);
