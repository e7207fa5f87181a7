// Run as a process of its own: sends to each URL of the command line in turn, every name being 127.0.0.1, and prints
// what became of each as a JSON list.

import { requestTo, senderWith } from "./receivers.ts";

const sender = senderWith({ lookup: async () => ["127.0.0.1"] });
const results: string[] = [];
for (const url of process.argv.slice(2)) {
  const outcome = await sender.send(requestTo(url));
  results.push(outcome.kind === "failed" ? outcome.error : outcome.kind);
}
process.stdout.write(JSON.stringify(results));
