// The receiver's process as the generator sees it. In a session of its own, so that Ctrl-C ends the generator first.

import { fileURLToPath } from "node:url";
import { sleep, systemClock } from "../../lib/clock.ts";
import type { FromReceiver, ReceiverArguments } from "./messages.ts";

const READY_TIMEOUT_MS = 10_000;

export class ReceiverProcess {
  readonly pid: number;
  readonly port: number;
  readonly #child: Bun.Subprocess;
  /** Told of every batch of records. */
  onRecords: (bytes: Uint8Array) => void = () => {};
  inFlight = 0;

  private constructor(child: Bun.Subprocess, port: number) {
    this.#child = child;
    this.pid = child.pid;
    this.port = port;
  }

  static async start(args: ReceiverArguments): Promise<ReceiverProcess> {
    const ready = Promise.withResolvers<number>();
    let receiver: ReceiverProcess | undefined;
    const child = Bun.spawn([process.execPath, fileURLToPath(import.meta.resolve("./main.ts")), JSON.stringify(args)], {
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
      serialization: "advanced",
      ipc(message: FromReceiver) {
        if (message.kind === "ready") ready.resolve(message.port);
        else receiver?.hear(message.bytes, message.inFlight);
      },
      onExit: (_, exitCode) => ready.reject(new Error(`the receiver ended with exit code ${exitCode}`)),
    });
    const timeout = sleep(systemClock, READY_TIMEOUT_MS).then(() => Promise.reject(new Error("the receiver is late")));
    receiver = new ReceiverProcess(child, await Promise.race([ready.promise, timeout]));
    timeout.catch(() => {});
    return receiver;
  }

  hear(bytes: Uint8Array, inFlight: number): void {
    this.inFlight = inFlight;
    this.onRecords(bytes);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.exited;
  }
}
