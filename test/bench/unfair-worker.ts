// A worker that looks at nobody's share: what fairness is measured against. There is no setting that makes one.

import { createWorker } from "../../src/app.ts";
import { environment, readConfig } from "../../src/config.ts";

const worker = createWorker(readConfig(environment(), "worker"), false);
await worker.start();
process.send?.("ready");
process.on("SIGTERM", () => {
  worker.stop().then(
    () => process.exit(),
    () => process.exit(1),
  );
});
