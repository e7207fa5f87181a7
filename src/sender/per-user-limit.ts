// At most so many pieces of work at once for one user; the others of that user wait, and no other user does.

import { Semaphore } from "../lib/semaphore.ts";

export class PerUserLimit {
  readonly #permits: number;
  readonly #users = new Map<string, { semaphore: Semaphore; interested: number }>();

  constructor(permits: number) {
    this.#permits = permits;
  }

  /** Users with work running or waiting. */
  get size(): number {
    return this.#users.size;
  }

  async run<Result>(userId: string, work: () => Promise<Result>): Promise<Result> {
    const user = this.#users.get(userId) ?? { semaphore: new Semaphore(this.#permits), interested: 0 };
    this.#users.set(userId, user);
    user.interested += 1;
    await user.semaphore.acquire();
    try {
      return await work();
    } finally {
      user.semaphore.release();
      user.interested -= 1;
      if (user.interested === 0) this.#users.delete(userId);
    }
  }
}
