// `bun run load` for real, on an instance of its own.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../../src/dev/project.ts";
import type { Report } from "../../src/load/report/report.ts";
import { eventually, testFolder } from "../support/services.ts";

setDefaultTimeout(90_000);

let folder: string;
beforeAll(async () => {
  folder = await testFolder("load");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function load(...args: string[]) {
  const progressFile = join(folder, `progress-${Bun.randomUUIDv7()}`);
  writeFileSync(progressFile, "");
  const child = Bun.spawn(
    [process.execPath, "src/load/main.ts", "--out", folder, "--victims", "2", "--warm-up", "0", ...args],
    { cwd: projectRoot, stdio: ["ignore", "pipe", Bun.file(progressFile)] },
  );
  const progress = () => readFileSync(progressFile, "utf8");
  return { child, progress, output: new Response(child.stdout).text() };
}

const report = (scenario: string) => JSON.parse(readFileSync(join(folder, `${scenario}.json`), "utf8")) as Report;
const leftovers = (pid: number) => readdirSync(tmpdir()).filter((entry) => entry.startsWith(`fairpost-load-${pid}-`));

test("a burst: everything arrives once, one at a time, and the report says so", async () => {
  const { child, progress, output } = load(
    "--scenario",
    "burst",
    "--subscribers",
    "200",
    "--webhooks",
    "2",
    "--quiet",
    "2",
  );
  const text = await output;
  if ((await child.exited) !== 0) throw new Error(progress() + text);
  const { accounting, victims, groups, workers, processes, phases } = report("burst");
  expect(accounting).toMatchObject({
    refused: 0,
    unanswered: 0,
    lost: 0,
    duplicated: 0,
    overlapping: 0,
    misrouted: 0,
    changed_ids: 0,
    signatures_wrong: 0,
  });
  expect(accounting.signatures_checked).toBeGreaterThan(0);
  expect(groups.map(({ name }) => name)).toEqual(["victims", "burst"]);
  expect(groups[1]).toMatchObject({ posted: 200, accepted: 200, delivered: 400 });
  expect(accounting.delivered).toBe((groups[0]?.accepted ?? 0) + 400);
  expect(victims.quiet.count).toBeGreaterThan(0);
  expect(victims.noise.count).toBeGreaterThan(0);
  expect(victims.quiet.count + victims.noise.count).toBe(groups[0]?.latency.count ?? 0);
  expect(victims.ratio.p99_ms).toBeGreaterThan(0);
  expect(phases.map(({ name }) => name)).toEqual(["warm-up", "quiet", "noise", "drain"]);
  expect(workers).toHaveLength(1);
  expect(processes.map(({ name }) => name)).toContain("generator");
  expect(text).toContain("LOST");
  const page = readFileSync(join(folder, "burst.html"), "utf8");
  expect(page).toContain("<polyline");
  expect(page).not.toMatch(/(src|href)=/);
  expect(leftovers(child.pid)).toEqual([]);
});

test("interrupted, it reports what there is and leaves nothing behind", async () => {
  const { child, progress, output } = load("--for", "60", "--quiet", "1", "--rate", "50");
  await eventually(() => expect(progress()).toContain("noise "), 60_000);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await output).toContain("Victims");
  expect(report("steady")).toMatchObject({ interrupted: true, accounting: { overlapping: 0, duplicated: 0 } });
  expect(leftovers(child.pid)).toEqual([]);
});
