// Pulls the three lanes of one partition and hands on what arrives, in the domain's words.

import type { Message } from "../domain/delivery.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { PRIORITIES } from "../domain/priority.ts";
import type { Clock } from "../lib/clock.ts";
import type { NatsLink } from "./connection.ts";
import { parseMessage } from "./message.ts";
import { type Handle, headerBlockOf, Pull } from "./pull.ts";
import { consumerName } from "./subjects.ts";
import { CONSUMERS } from "./topology.ts";

/** Messages of one lane that may be on their way to us at once. */
const PULL_BATCH = 256;
/** The same while much is in hand: a lane's part of the room that is left, between these. */
const CAREFUL_PULL_BATCH_MIN = 8;
const CAREFUL_PULL_BATCH_MAX = 64;

type InHand = { readonly isTooMuch: boolean; readonly isBelowHalf: boolean; readonly room: number };

export type PartitionIntakeOptions = {
  link: NatsLink;
  partition: Partition;
  clock: Clock;
  /** What its messages add to. While it is too much, nothing more is asked for. */
  inHand: InHand;
  onRefused: () => void;
  receive: (message: Message, handle: Handle) => void;
  /** Somebody else's message on our subjects. It is left alone: it comes again, and again is reported. */
  onUnreadable: (subject: string, seq: number, error: unknown) => void;
};

export class PartitionIntake {
  readonly name: string;
  readonly #pulls: readonly Pull[];

  /** Begins to pull at once. */
  constructor({ link, partition, clock, inHand, onRefused, receive, onUnreadable }: PartitionIntakeOptions) {
    this.name = `intake ${partitionName(partition)}`;
    this.#pulls = PRIORITIES.map(
      (priority) =>
        new Pull({
          link,
          consumer: consumerName(partition, priority),
          clock,
          batch: () => batchBeside(inHand),
          onRefused,
          onMessage(raw, handle) {
            let message: Message;
            try {
              message = parseMessage(raw.subject, headerBlockOf(raw), raw.string());
            } catch (error) {
              onUnreadable(raw.subject, handle.seq, error);
              return;
            }
            receive(message, handle);
          },
        }),
    );
  }

  /** Returns when everything that the server handed out has been received. */
  async stop(): Promise<void> {
    await Promise.all(this.#pulls.map((pull) => pull.stop()));
  }

  /** Stops hearing at once. */
  abandon(): void {
    for (const pull of this.#pulls) pull.abandon();
  }

  /** After a reconnection the server knows none of the requests; after another connection, no subscription either. */
  renew(): void {
    for (const pull of this.#pulls) pull.renew();
  }
}

function batchBeside({ isTooMuch, isBelowHalf, room }: InHand): number {
  if (isTooMuch) return 0;
  if (isBelowHalf) return PULL_BATCH;
  return Math.max(CAREFUL_PULL_BATCH_MIN, Math.min(CAREFUL_PULL_BATCH_MAX, Math.floor(room / CONSUMERS)));
}
