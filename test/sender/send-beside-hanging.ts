// Run as a process of its own: `<hanging url> <healthy url> <count>`. Starts `count` requests that are never answered.
// When its standard input ends it sends fifty to the healthy receiver, and prints how many of them were accepted and how
// many of the others were still open then.

import { requestTo, senderWith } from "./receivers.ts";

const [hangingUrl = "", healthyUrl = "", count = "0"] = process.argv.slice(2);
const sender = senderWith();
let hangingOpen = Number(count);
for (let n = 0; n < Number(count); n += 1) {
  void sender
    .send(requestTo(hangingUrl, { timeoutMs: 25_000 }))
    .finally(() => (hangingOpen -= 1))
    .catch(() => {});
}
await Bun.stdin.text();
let accepted = 0;
for (let n = 0; n < 50; n += 1) {
  if ((await sender.send(requestTo(healthyUrl))).kind === "accepted") accepted += 1;
}
process.stdout.write(JSON.stringify({ accepted, hangingOpen }), () => process.exit(0));
