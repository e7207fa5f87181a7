// One dead receiver is nobody else's trouble.

import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { rawReceiver } from "./receivers.ts";

const HANGING = 400;
let waiting = 0;
const allWait = Promise.withResolvers<void>();
const hanging = rawReceiver(() => {
  waiting += 1;
  if (waiting === HANGING) allWait.resolve();
});
const healthy = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
afterAll(async () => {
  hanging[Symbol.dispose]();
  await healthy.stop(true);
});

test("400 receivers that never answer do not hold up a healthy one", async () => {
  const program = join(import.meta.dir, "send-beside-hanging.ts");
  const child = Bun.spawn([process.execPath, program, hanging.url, healthy.url.href, String(HANGING)], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await allWait.promise;
  await child.stdin.end();
  expect(JSON.parse(await child.stdout.text())).toEqual({ accepted: 50, hangingOpen: HANGING });
});
