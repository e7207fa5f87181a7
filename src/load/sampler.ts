// Once a second: the timeline and its progress line, the processes' CPU and memory, the workers' attempts.

import type { Clock } from "../lib/clock.ts";
import type { ApiClient } from "./api-client.ts";
import type { Instance } from "./instance.ts";
import type { Phases } from "./phases.ts";
import { ProcessWatch, type WatchedProcess } from "./process-usage.ts";
import type { ReceiverProcess } from "./receiver/receiver-process.ts";
import { StopSignal } from "./stop-signal.ts";
import { progressLine, type Timeline } from "./timeline.ts";
import { WorkerAttempts } from "./worker-metrics.ts";

const INTERVAL_MS = 1_000;

export type SamplerOptions = {
  clock: Clock;
  api: ApiClient;
  instance: Instance;
  receiver: ReceiverProcess;
  timeline: Timeline;
  phases: Phases;
  say: (line: string) => void;
};

export class Sampler {
  readonly #options: SamplerOptions;
  readonly #watch = new ProcessWatch();
  readonly #workers = new WorkerAttempts();
  readonly #stop = new StopSignal();
  #running: Promise<void> = Promise.resolve();

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  get processes(): WatchedProcess[] {
    return this.#watch.processes;
  }

  get workers(): { worker: string; attempts: number }[] {
    return this.#workers.attempts;
  }

  async start(): Promise<void> {
    this.#look();
    await this.#hearWorkers();
    this.#running = this.#run();
  }

  /** With a last look. */
  async stop(): Promise<void> {
    if (this.#stop.isStopped) return;
    this.#stop.stop();
    await this.#running;
    this.#look();
    await this.#hearWorkers();
  }

  async #run(): Promise<void> {
    const { clock, phases, timeline, receiver, say } = this.#options;
    let due = clock.monotonic();
    for (;;) {
      due += INTERVAL_MS;
      await this.#stop.sleep(clock, Math.max(0, due - clock.monotonic()));
      const inFlight = this.#workers.inFlight ?? receiver.inFlight;
      say(progressLine(timeline.sample(phases.elapsedS, phases.current, inFlight)));
      if (this.#stop.isStopped) return;
      this.#look();
      await this.#hearWorkers();
    }
  }

  #look(): void {
    const { instance, receiver } = this.#options;
    this.#watch.look([
      ...instance.processes(),
      { name: "receiver", pid: receiver.pid },
      { name: "generator", pid: process.pid, isAlone: true },
    ]);
  }

  async #hearWorkers(): Promise<void> {
    try {
      this.#workers.hear(await this.#options.api.metrics());
    } catch {
      // It is busy, or has none: the report then lists fewer workers.
    }
  }
}
