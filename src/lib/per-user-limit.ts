// At most so many pieces of work at once for one user; the others of that user wait, and no other user does.

import { Semaphore } from "./semaphore.ts";

export class PerUserLimitError extends Error {
  constructor() {
    super("too much work of this user is waiting");
  }
}

export class PerUserLimit {
  readonly #permits: number;
  readonly #waitingMax: number;
  readonly #users = new Map<string, { semaphore: Semaphore; interested: number }>();

  /** With more than `waitingMax` waiting for one user, one more is refused with PerUserLimitError. */
  constructor(permits: number, waitingMax = Number.POSITIVE_INFINITY) {
    this.#permits = permits;
    this.#waitingMax = waitingMax;
  }

  /** Users with work running or waiting. */
  get size(): number {
    return this.#users.size;
  }

  /** `rest`: the work's place stays taken until it is over, should there be one. Who waits for the work does not wait for it. */
  async run<Result>(
    userId: string,
    work: () => Promise<Result>,
    rest?: () => Promise<void> | undefined,
  ): Promise<Result> {
    const user = this.#users.get(userId) ?? { semaphore: new Semaphore(this.#permits), interested: 0 };
    if (user.semaphore.waiting >= this.#waitingMax) throw new PerUserLimitError();
    this.#users.set(userId, user);
    user.interested += 1;
    await user.semaphore.acquire();
    const leave = (): void => {
      user.semaphore.release();
      user.interested -= 1;
      if (user.interested === 0) this.#users.delete(userId);
    };
    try {
      return await work();
    } finally {
      const resting = rest?.();
      if (resting === undefined) leave();
      else void resting.then(leave, leave);
    }
  }
}
