import { expect, test } from "bun:test";
import { join } from "node:path";

test("a process without descriptors waits for some; its receivers are not blamed", async () => {
  const receiver = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch() {
      await Bun.sleep(100);
      return new Response();
    },
  });
  try {
    const script = join(import.meta.dirname, "send-beyond-descriptors.ts");
    const command = `ulimit -n 80; exec "${process.execPath}" "${script}" "${receiver.url.href}" 200`;
    const child = Bun.spawn(["sh", "-c", command], { stdout: "pipe", stderr: "inherit" });
    expect(JSON.parse(await child.stdout.text())).toEqual({ accepted: 200, failed: 0, gone: 0, isTold: true });
  } finally {
    await receiver.stop(true);
  }
});
