// What waits for one actor: a first-in-first-out queue per lane.

export class Mailbox<Lane extends string, Message> {
  readonly #lanes = new Map<Lane, Queue<Message>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(lane: Lane): boolean {
    return this.sizeOf(lane) > 0;
  }

  sizeOf(lane: Lane): number {
    return this.#lanes.get(lane)?.size ?? 0;
  }

  push(lane: Lane, message: Message): void {
    let queue = this.#lanes.get(lane);
    if (queue === undefined) this.#lanes.set(lane, (queue = new Queue()));
    queue.push(message);
    this.#size += 1;
  }

  /** The oldest message of `lane`. */
  shift(lane: Lane): Message | undefined {
    return this.#counted(this.#lanes.get(lane)?.shift());
  }

  /** The youngest message of the longest lane: what would have waited longest. */
  popTail(): Message | undefined {
    let longest: Queue<Message> | undefined;
    for (const queue of this.#lanes.values()) if (queue.size > (longest?.size ?? 0)) longest = queue;
    return this.#counted(longest?.pop());
  }

  messages(): Message[] {
    return [...this.#lanes.values()].flatMap((queue) => queue.messages());
  }

  /** Takes everything out. */
  drain(): Message[] {
    const all = this.messages();
    this.#lanes.clear();
    this.#size = 0;
    return all;
  }

  #counted(message: Message | undefined): Message | undefined {
    if (message !== undefined) this.#size -= 1;
    return message;
  }
}

/** An array with a moving head: shift costs the same however long it is. */
class Queue<Message> {
  #items: (Message | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(message: Message): void {
    this.#items.push(message);
  }

  shift(): Message | undefined {
    if (this.size === 0) return undefined;
    const message = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }

  pop(): Message | undefined {
    return this.size === 0 ? undefined : this.#items.pop();
  }

  messages(): Message[] {
    return this.#items.slice(this.#head).filter((message) => message !== undefined);
  }
}
