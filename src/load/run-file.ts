// DATA_DIR/run.json: where a running start says where its API is and which processes belong to it.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export type ServiceProcess = { name: string; pid: number; url?: string };

/** Empty when nothing runs there. */
export function processesIn(dataDir: string): ServiceProcess[] {
  try {
    const run = JSON.parse(readFileSync(join(dataDir, "run.json"), "utf8")) as { processes: ServiceProcess[] };
    return run.processes;
  } catch {
    return [];
  }
}
