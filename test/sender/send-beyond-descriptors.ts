// Run with few descriptors: sends `count` requests to `url` at once, and those that could not be begun again, until each has
// its outcome. Prints how many were delivered, how many failed, and whether the lack was told.

import { systemClock as clock } from "../../src/lib/clock.ts";
import { createSender } from "../../src/sender/send.ts";
import { LOOPBACK, requestTo } from "./receivers.ts";

const [url = "", count = "0"] = process.argv.slice(2);
let isTold = false;
const sender = createSender({
  clock,
  version: "test",
  egressAllow: LOOPBACK,
  onOutOfDescriptors: () => (isTold = true),
});
const outcomes = { accepted: 0, failed: 0, gone: 0 };
await Promise.all(
  Array.from({ length: Number(count) }, async () => {
    let outcome;
    while (outcome === undefined) outcome = await sender.send(requestTo(url));
    outcomes[outcome.kind] += 1;
  }),
);
console.log(JSON.stringify({ ...outcomes, isTold }));
process.exit();
