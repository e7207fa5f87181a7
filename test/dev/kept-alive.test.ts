import { expect, test } from "bun:test";
import { KeptAlive, type ProcessService } from "../../src/dev/kept-alive.ts";
import { ManualClock } from "../../src/lib/clock.ts";

/** A process that ends when told, and does not start while `isBroken`. */
class FakeProcess implements ProcessService {
  readonly name = "fake";
  readonly identity = undefined;
  ended: Promise<void> = Promise.resolve();
  starts = 0;
  isBroken = false;
  #end: () => void = () => {};

  async start() {
    this.starts += 1;
    if (this.isBroken) throw new Error("broken");
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
  }

  async stop() {
    await this.end();
  }

  async end() {
    this.#end();
    await settled();
  }
}

/** Lets what has been resolved run on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

async function keepAlive() {
  const clock = new ManualClock();
  const service = new FakeProcess();
  const said: string[] = [];
  const kept = new KeptAlive({ clock, service, say: (line) => said.push(line), onStarted: () => {} });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await settled();
  };
  await kept.start();
  return { kept, service, said, advance };
}

test("starts it again after waits that double, up to a bound", async () => {
  const { service, said, advance } = await keepAlive();
  for (const waitMs of [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000, 15_000]) {
    const { starts } = service;
    await service.end();
    expect(said.at(-1)).toBe(`fake ended; starting it again in ${waitMs / 1_000} s`);
    await advance(waitMs - 1);
    expect(service.starts).toBe(starts);
    await advance(1);
    expect(service.starts).toBe(starts + 1);
  }
});

test("a start that fails is tried again, too", async () => {
  const { service, said, advance } = await keepAlive();
  service.isBroken = true;
  await service.end();
  await advance(100);
  expect(said.at(-1)).toBe("fake did not start (broken); starting it again in 0.2 s");
  service.isBroken = false;
  await advance(200);
  expect(service.starts).toBe(3);
});

test("one that ran for a while begins with the shortest wait again", async () => {
  const { service, said, advance } = await keepAlive();
  await service.end();
  await advance(100);
  await advance(30_000);
  await service.end();
  expect(said.at(-1)).toContain("in 0.1 s");
});

test("a stop is the end of it, also while it waits", async () => {
  const { kept, service, advance } = await keepAlive();
  await service.end();
  await kept.stop();
  await advance(60_000);
  expect(service.starts).toBe(1);
});

test("a first start that fails is the caller's to judge", () => {
  const service = new FakeProcess();
  service.isBroken = true;
  const kept = new KeptAlive({ clock: new ManualClock(), service, say: () => {}, onStarted: () => {} });
  expect(kept.start()).rejects.toThrow("broken");
});
