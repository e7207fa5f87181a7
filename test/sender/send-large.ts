// Run as a process of its own: sends 16 MiB to the URL of the command line, the name being 127.0.0.1, prints what became
// of it, and goes on until its standard input ends.

import { requestTo, senderWith } from "./receivers.ts";

const sender = senderWith({ lookup: async () => ["127.0.0.1"] });
const payload = JSON.stringify("x".repeat(16 * 1024 * 1024));
const outcome = await sender.send(requestTo(process.argv[2] ?? "", { payload }));
process.stdout.write(outcome.kind === "failed" ? outcome.error : outcome.kind);
await Bun.stdin.text();
