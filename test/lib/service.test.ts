import { describe, expect, test } from "bun:test";
import { type Service, ServiceGroup } from "../../src/lib/service.ts";

function recorded(log: string[], name: string, fails?: "start" | "stop"): Service {
  return {
    name,
    async start() {
      log.push(`start ${name}`);
      if (fails === "start") throw new Error(`${name} does not start`);
    },
    async stop() {
      log.push(`stop ${name}`);
      if (fails === "stop") throw new Error(`${name} does not stop`);
    },
  };
}

describe("ServiceGroup", () => {
  test("starts in order and stops in reverse, once", async () => {
    const log: string[] = [];
    const group = new ServiceGroup("all", [recorded(log, "a"), recorded(log, "b")]);
    await group.start();
    await Promise.all([group.stop(), group.stop()]);
    await group.stop();
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  test("a failed start stops what had begun, the failed one too, and throws", async () => {
    const log: string[] = [];
    const group = new ServiceGroup("all", [recorded(log, "a"), recorded(log, "b", "start"), recorded(log, "c")]);
    expect(group.start()).rejects.toThrow("b does not start");
    await group.stop();
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  test("a failed stop is reported and holds nobody else up", async () => {
    const log: string[] = [];
    const failures: string[] = [];
    const services = [recorded(log, "a"), recorded(log, "b", "stop")];
    const group = new ServiceGroup("all", services, (name) => failures.push(name));
    await group.start();
    await group.stop();
    expect(failures).toEqual(["b"]);
    expect(log).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  test("a stop in the middle of the start leaves nothing running", async () => {
    const log: string[] = [];
    const begun = Promise.withResolvers<void>();
    const slowToStart = { ...recorded(log, "b"), start: () => begun.promise };
    const group = new ServiceGroup("all", [recorded(log, "a"), slowToStart, recorded(log, "c")]);
    const starting = group.start();
    await Promise.resolve();
    const stopping = group.stop();
    begun.resolve();
    await Promise.all([starting, stopping]);
    expect(log).toEqual(["start a", "stop b", "stop a"]);
  });

  test("may be stopped before it was started", async () => {
    const log: string[] = [];
    await new ServiceGroup("all", [recorded(log, "a")]).stop();
    expect(log).toEqual([]);
  });
});
