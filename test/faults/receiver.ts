// The harness' side of the receiver process: starts it, tells it secrets, fetches what it has recorded.

import { join } from "node:path";

export const SECRETS_PATH = "/__secrets";
export const RECORDS_PATH = "/__records";

export type ReceivedRequest = {
  path: string;
  eventId: string;
  subscriberId: string | undefined;
  /** Wall clock, milliseconds. */
  startedAt: number;
  endedAt: number;
  /** What it was answered; undefined when its client was gone before. */
  status: number | undefined;
  isSigned: boolean;
  /** For how long another request of this path still ran when this one had come. */
  overlapMs: number;
};

export class RecordingReceiver {
  readonly url: string;
  readonly #process: Bun.Subprocess;
  readonly #requests: ReceivedRequest[] = [];

  private constructor(url: string, process_: Bun.Subprocess) {
    this.url = url;
    this.#process = process_;
  }

  static async start(): Promise<RecordingReceiver> {
    const ready = Promise.withResolvers<string>();
    const process_ = Bun.spawn([process.execPath, join(import.meta.dirname, "receiver-process.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: { url: string }) => ready.resolve(message.url),
    });
    return new RecordingReceiver(await ready.promise, process_);
  }

  /** Requests to `path` must be signed with `secret`. */
  async expectSignedBy(path: string, secret: string): Promise<void> {
    await fetch(this.url + SECRETS_PATH, { method: "POST", body: JSON.stringify({ path, secret }) });
  }

  /** Every request that has ended, and how many are under way. */
  async requests(): Promise<{ requests: readonly ReceivedRequest[]; running: number }> {
    const answer = await fetch(`${this.url}${RECORDS_PATH}?from=${this.#requests.length}`);
    const { requests, running } = (await answer.json()) as { requests: ReceivedRequest[]; running: number };
    for (const request of requests) this.#requests.push(request);
    return { requests: this.#requests, running };
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
