import { existsSync } from "node:fs";
import { expect, test } from "bun:test";
import { statOf } from "../../src/lib/process-stat.ts";

test.skipIf(!existsSync("/proc/self/stat"))("a process is told by its line, whatever its name holds", async () => {
  const rename = "printf 'a) Z (b' > /proc/$$/comm && echo renamed && read line";
  const child = Bun.spawn(["sh", "-c", rename], { stdin: "pipe", stdout: "pipe" });
  try {
    await child.stdout.getReader().read();
    const stat = statOf(child.pid);
    expect(stat).toMatchObject({ name: "a) Z (b", parentPid: process.pid, childrenTicks: 0 });
    expect(stat?.state).toMatch(/^[RSD]$/);
    expect(Number(stat?.startTicks)).toBeGreaterThanOrEqual(Number(statOf(process.pid)?.startTicks));
    expect(statOf(process.pid)?.cpuTicks).toBeGreaterThan(0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  expect(statOf(child.pid)).toBeUndefined();
});
