// Notices a NATS that is there and writes nothing. After its disk was full for a moment a nats-server (2.14) answers no write
// to the stream concerned until it is started again, though there is room, and answers everything else.

import type { Clock } from "../lib/clock.ts";

/** Longer than a server may need for a slow disk, or is away while it starts. */
const SILENT_AFTER_MS = 30_000;
const REMINDER_MS = 60_000;

export type WriteWatchOptions = {
  clock: Clock;
  /** No write to `stream` has been answered for so long. Said again every minute for as long as it lasts. */
  onSilent: (stream: string, forMs: number) => void;
};

type Silence = { since: number; lastAt: number; saidAt: number };

export class WriteWatch {
  readonly #options: WriteWatchOptions;
  readonly #silent = new Map<string, Silence>();

  constructor(options: WriteWatchOptions) {
    this.#options = options;
  }

  /** With whatever answer. */
  answered(stream: string): void {
    this.#silent.delete(stream);
  }

  /** A write has had no answer in time, over a connection that lives. One long after another is by itself. */
  unanswered(stream: string): void {
    const now = this.#options.clock.monotonic();
    const known = this.#silent.get(stream);
    const goesOn = known !== undefined && now - known.lastAt < SILENT_AFTER_MS;
    const silence = goesOn ? known : { since: now, lastAt: now, saidAt: Number.NEGATIVE_INFINITY };
    silence.lastAt = now;
    this.#silent.set(stream, silence);
    if (now - silence.since < SILENT_AFTER_MS || now - silence.saidAt < REMINDER_MS) return;
    silence.saidAt = now;
    this.#options.onSilent(stream, now - silence.since);
  }
}
