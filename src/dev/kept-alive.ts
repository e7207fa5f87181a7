// Keeps one process running: when it ends uninvited it is started again, after a wait that doubles while it keeps failing.

import type { Clock, Timer } from "../lib/clock.ts";
import type { Service } from "../lib/service.ts";
import type { ProcessIdentity } from "./processes.ts";

const WAIT_MS_MIN = 100;
const WAIT_MS_MAX = 15_000;
/** One that ran this long has recovered: the next wait is the shortest again. */
const RECOVERED_AFTER_MS = 30_000;

/** A service that is one process. `start` may be called again once it has ended. */
export interface ProcessService extends Service {
  readonly identity: ProcessIdentity | undefined;
  /** Resolves when the running process has ended, for whatever reason. */
  readonly ended: Promise<void>;
}

export type KeptAliveOptions = {
  clock: Clock;
  service: ProcessService;
  say: (line: string) => void;
  /** It runs, for the first time or again. Does not throw. */
  onStarted: () => void;
};

export class KeptAlive implements Service {
  readonly name: string;
  readonly #options: KeptAliveOptions;
  #isStopping = false;
  #failures = 0;
  #timer: Timer | undefined;
  #starting: Promise<void> | undefined;

  constructor(options: KeptAliveOptions) {
    this.name = options.service.name;
    this.#options = options;
  }

  get service(): ProcessService {
    return this.#options.service;
  }

  /** Rejects if the first start fails; later ones are tried again. */
  async start(): Promise<void> {
    await this.#begin();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#timer?.cancel();
    await this.service.stop();
    await this.#starting?.catch(() => {});
    await this.service.stop();
  }

  async #begin(): Promise<void> {
    if (this.#isStopping) return;
    const { clock, onStarted } = this.#options;
    const startedAt = clock.monotonic();
    this.#starting = this.service.start();
    await this.#starting;
    onStarted();
    this.service.ended
      .then(() => {
        if (clock.monotonic() - startedAt >= RECOVERED_AFTER_MS) this.#failures = 0;
        this.#beginLater("ended");
      })
      .catch(() => {});
  }

  #beginLater(what: string): void {
    if (this.#isStopping) return;
    const waitMs = Math.min(WAIT_MS_MIN * 2 ** this.#failures, WAIT_MS_MAX);
    this.#failures += 1;
    this.#options.say(`${this.name} ${what}; starting it again in ${waitMs / 1_000} s`);
    this.#timer = this.#options.clock.after(waitMs, () => {
      this.#begin().catch((error: unknown) => {
        this.#beginLater(`did not start (${error instanceof Error ? error.message : String(error)})`);
      });
    });
  }
}
