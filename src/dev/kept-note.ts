// A note that others read, kept true: one that cannot be written (a full disk) is said once and tried again until it can.
// It never throws, for what it tells of goes on meanwhile.

import type { Clock, Timer } from "../lib/clock.ts";

const RETRY_MS = 2_000;

export type KeptNoteOptions = {
  clock: Clock;
  /** As lines name it. */
  name: string;
  /** Writes down what is true now. */
  write: () => void;
  say: (line: string) => void;
};

export class KeptNote {
  readonly #options: KeptNoteOptions;
  #isStale = false;
  #retry: Timer | undefined;

  constructor(options: KeptNoteOptions) {
    this.#options = options;
  }

  /** Something has changed. */
  update(): void {
    const { clock, name, write, say } = this.#options;
    this.#retry?.cancel();
    try {
      write();
      if (this.#isStale) say(`${name} is up to date again`);
      this.#isStale = false;
    } catch (error) {
      if (!this.#isStale) say(`${name} could not be written, and is out of date until it can be (${messageOf(error)})`);
      this.#isStale = true;
      this.#retry = clock.after(RETRY_MS, () => this.update());
    }
  }

  /** Nobody need read it any more. */
  close(): void {
    this.#retry?.cancel();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
