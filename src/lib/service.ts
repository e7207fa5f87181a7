// Everything long-lived starts and stops alike: start in order, stop in reverse, both idempotent.

export interface Service {
  readonly name: string;
  start(): Promise<void>;
  /** Returns when nothing of the service is left running. Safe to call twice, and before start. */
  stop(): Promise<void>;
}

/** Starts `services` in order. If one fails, those already started are stopped before the error is thrown. */
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
      try {
        await service.start();
        this.#started.push(service);
      } catch (error) {
        await service.stop().catch((stopError: unknown) => this.#onStopFailure(service.name, stopError));
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
