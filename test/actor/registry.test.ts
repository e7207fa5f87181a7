import { expect, test } from "bun:test";
import { Cell } from "../../src/actor/cell.ts";
import { Registry } from "../../src/actor/registry.ts";
import { ManualClock } from "../../src/lib/clock.ts";

function registry() {
  const clock = new ManualClock();
  const actors = new Registry<string, string, "lane", string>({ clock, idleMs: 1_000 });
  const ensure = (id: string) =>
    actors.ensure(
      id,
      () =>
        new Cell({
          key: id,
          clock,
          create: () => ({ concurrency: () => 1, handle: () => new Promise<void>(() => {}) }),
          onReady: () => {},
          onCrash: () => {},
        }),
    );
  return { clock, actors, ensure };
}

test("an id has one actor, for as long as that has work or had some lately", async () => {
  const { clock, actors, ensure } = registry();
  await actors.start();
  const [idle, waiting, busy] = ["idle", "waiting", "busy"].map(ensure);
  waiting?.tell("lane", "a");
  busy?.tell("lane", "a");
  busy?.step("lane")?.catch(() => {});
  clock.advance(999);
  expect(ensure("idle")).toBe(idle as never);
  expect(actors.size).toBe(3);
  clock.advance(1);
  expect([...actors.cells()].map(({ key }) => key)).toEqual(["waiting", "busy"]);
  expect(ensure("idle")).not.toBe(idle as never);
  expect(ensure("waiting")).toBe(waiting as never);
  clock.advance(5_000);
  expect([...actors.cells()].map(({ key }) => key)).toEqual(["waiting", "busy"]);
  await actors.stop();
});

test("nobody is passivated after the stop", async () => {
  const { clock, actors, ensure } = registry();
  await actors.start();
  ensure("idle");
  await actors.stop();
  clock.advance(10_000);
  expect(actors.size).toBe(1);
});
