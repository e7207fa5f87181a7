// Pulls the three lanes of one partition and hands on what arrives, in the domain's words.

import type { Message } from "../domain/delivery.ts";
import { type Partition, partitionName } from "../domain/partition.ts";
import { PRIORITIES } from "../domain/priority.ts";
import type { Clock } from "../lib/clock.ts";
import type { NatsLink } from "./connection.ts";
import { parseMessage } from "./message.ts";
import { type Handle, headerBlockOf, Pull } from "./pull.ts";
import { consumerName } from "./subjects.ts";

/** Messages of one lane that may be on their way to us at once. */
const PULL_BATCH = 256;
/** The same while much is in hand: of all lanes together it is what may still come beyond the bounds. */
const CAREFUL_PULL_BATCH = 64;

export type PartitionIntakeOptions = {
  link: NatsLink;
  partition: Partition;
  clock: Clock;
  /** What its messages add to. While it is too much, nothing more is asked for. */
  inHand: { readonly isTooMuch: boolean; readonly isBelowHalf: boolean };
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
          batch: () => (inHand.isTooMuch ? 0 : inHand.isBelowHalf ? PULL_BATCH : CAREFUL_PULL_BATCH),
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
