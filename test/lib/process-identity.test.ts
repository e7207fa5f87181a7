import { expect, test } from "bun:test";
import { join } from "node:path";
import { hasSurelyEnded, ownIdentity, type ProcessIdentity } from "../../src/lib/process-identity.ts";
import { testFolder } from "../support/services.ts";

const self = ownIdentity();

/** There is no telling without /proc. */
test.skipIf(self === undefined)("a process has surely ended when it was on this machine and is no more", async () => {
  const own = self as ProcessIdentity;
  expect(hasSurelyEnded(own, own)).toBe(false);
  expect(hasSurelyEnded({ ...own, startTicks: "1" }, own)).toBe(true);
  expect(hasSurelyEnded({ ...own, startTicks: "1", bootId: "another" }, own)).toBe(false);
  expect(hasSurelyEnded({ ...own, startTicks: "1", pidNamespace: "another" }, own)).toBe(false);
  expect(hasSurelyEnded(undefined, own)).toBe(false);
  const child = Bun.spawn(["true"]);
  await child.exited;
  expect(hasSurelyEnded({ ...own, pid: child.pid, startTicks: "1" }, own)).toBe(true);
});

test.skipIf(self === undefined)("a process that cannot be looked at has not surely ended", async () => {
  // Nothing of /proc can be read where no descriptor is left.
  const script = `
    import { openSync } from "node:fs";
    import { hasSurelyEnded, ownIdentity } from ${JSON.stringify(`${import.meta.dirname}/../../src/lib/process-identity.ts`)};
    const own = ownIdentity();
    const parent = { ...own, pid: process.ppid };
    try { for (;;) openSync("/dev/null"); } catch {}
    process.exit(hasSurelyEnded(parent, own) ? 1 : 0);`;
  const file = join(await testFolder("process-identity"), "script.ts");
  await Bun.write(file, script);
  const child = Bun.spawn(["sh", "-c", `ulimit -n 100; exec "${process.execPath}" "${file}"`], { stderr: "inherit" });
  expect(await child.exited).toBe(0);
});
