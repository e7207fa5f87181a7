// Everything long-lived starts and stops alike: start in order, stop in reverse, both idempotent.

export interface Service {
  readonly name: string;
  start(): Promise<void>;
  /** Returns when nothing of the service is left running. Safe to call twice, and before start. */
  stop(): Promise<void>;
}

/**
 * Starts `services` in order. If one fails, it and those before it are stopped before the error is thrown; a stop in the
 * middle of the start stops what has begun, and nothing more is started.
 */
export class ServiceGroup implements Service {
  readonly name: string;
  readonly #services: readonly Service[];
  readonly #onStopFailure: (name: string, error: unknown) => void;
  #started: Service[] = [];
  #stopping: Promise<void> | undefined;

  constructor(
    name: string,
    services: readonly Service[],
    onStopFailure: (name: string, error: unknown) => void = () => {},
  ) {
    this.name = name;
    this.#services = services;
    this.#onStopFailure = onStopFailure;
  }

  async start(): Promise<void> {
    for (const service of this.#services) {
      if (this.#stopping !== undefined) return;
      this.#started.push(service);
      try {
        await service.start();
      } catch (error) {
        await this.stop();
        throw error;
      }
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const service of this.#started.toReversed()) {
      try {
        await service.stop();
      } catch (error) {
        this.#onStopFailure(service.name, error);
      }
    }
    this.#started = [];
  }
}
