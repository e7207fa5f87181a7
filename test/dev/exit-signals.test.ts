// When a process leaves, and when it takes a signal for impatience.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { eventually } from "../support/services.ts";

const MODULE = join(import.meta.dirname, "../../src/dev/exit-signals.ts");
const CLOCK = join(import.meta.dirname, "../../src/lib/clock.ts");

/** A process under a channel to us, which says what it is told to do. */
async function watching() {
  const script = `
    import { watchExitSignals } from ${JSON.stringify(MODULE)};
    import { systemClock as clock } from ${JSON.stringify(CLOCK)};
    watchExitSignals({ clock, onExit: () => console.log("exit"), onImpatience: () => console.log("impatience") });
    console.log("watching");
    setTimeout(() => process.exit(), 20_000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit", ipc: () => {} });
  const said: string[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) said.push(...decoder.decode(bytes).trim().split("\n"));
  })();
  await eventually(() => expect(said).toContain("watching"));
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    await reading;
  };
  return { child, said, end };
}

test("a second signal a while after the first means impatience", async () => {
  const { child, said, end } = await watching();
  child.kill("SIGTERM");
  await eventually(() => expect(said).toContain("exit"));
  child.kill("SIGTERM");
  await Bun.sleep(1_100);
  expect(said).toEqual(["watching", "exit"]);
  child.kill("SIGINT");
  await eventually(() => expect(said).toContain("impatience"));
  await end();
});

test("the first signal to a process whose launcher has gone does not: the next start asks it once", async () => {
  const { child, said, end } = await watching();
  child.disconnect();
  await eventually(() => expect(said).toContain("exit"));
  await Bun.sleep(1_100);
  child.kill("SIGTERM");
  await Bun.sleep(1_100);
  expect(said).toEqual(["watching", "exit"]);
  child.kill("SIGTERM");
  await eventually(() => expect(said).toContain("impatience"));
  await end();
});
