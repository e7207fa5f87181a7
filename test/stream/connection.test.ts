import { afterAll, beforeAll, expect, test } from "bun:test";
import { anyFreePort } from "../../src/dev/ports.ts";
import { ManualClock } from "../../src/lib/clock.ts";
import { describeError } from "../../src/observe/log.ts";
import { NatsLink } from "../../src/stream/connection.ts";
import { TcpProxy } from "../faults/tcp-proxy.ts";
import { eventually, type TestNats, testNats } from "../support/services.ts";
import { connected } from "./servers.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await testNats();
});
afterAll(() => nats.stop());

test("a server answers or does not: a connection that nothing comes through any more is none", async () => {
  const proxy = await TcpProxy.to(nats.port);
  const { link } = await connected(`nats://127.0.0.1:${proxy.port}`);
  expect(await link.answers()).toBe(true);
  proxy.swallow();
  const before = performance.now();
  expect(await link.answers()).toBe(false);
  expect(performance.now() - before).toBeLessThan(8_000);
  expect(link.connection).toBeDefined();
  proxy.heal();
  await eventually(async () => expect(await link.answers()).toBe(true));
  await link.stop();
  expect(await link.answers()).toBe(false);
  proxy.stop();
});

test("a server that neither reads nor answers is left for one that does, however much is being sent to it", async () => {
  const proxy = await TcpProxy.to(nats.port);
  const { link } = await connected(`nats://127.0.0.1:${proxy.port}`);
  const first = link.connectionNumber;
  proxy.clog();
  const payload = "x".repeat(100_000);
  await eventually(
    () => {
      link.connection?.publish("nobody", payload);
      expect(link.connectionNumber).toBeGreaterThan(first);
    },
    40_000,
    100,
  );
  expect(await link.answers()).toBe(true);
  await link.stop();
  proxy.stop();
});

test("that no server can be reached is said at once and every ten seconds, without credentials", async () => {
  const port = await anyFreePort();
  const clock = new ManualClock();
  const said: { at: number; servers: string; error: string }[] = [];
  const url = `nats://name:secret@127.0.0.1:${port}, other:secret@127.0.0.1:${port}`;
  const link = new NatsLink({ url, name: "test", clock });
  link.listen({
    connected: () => {},
    disconnected: () => {},
    unreachable: (servers, error) => void said.push({ at: clock.monotonic(), servers, error: describeError(error) }),
  });
  const startedAt = clock.monotonic();
  await link.start();
  await eventually(() => {
    clock.advance(250);
    expect(said).toHaveLength(3);
  });
  expect(said[0]?.at).toBeLessThan(startedAt + 2_000);
  expect((said[1]?.at ?? 0) - (said[0]?.at ?? 0)).toBeGreaterThanOrEqual(10_000);
  for (const { servers, error } of said) {
    expect(servers).toBe(`127.0.0.1:${port}, 127.0.0.1:${port}`);
    expect(error).toContain("ECONNREFUSED");
    expect(servers + error).not.toContain("secret");
  }
  await link.stop();
  clock.advance(250);
});
