// Password hashes: argon2id with OWASP's parameters, about 30 ms and 19 MiB each. Few run at once and few may wait, so
// that a flood of sign-ins takes neither the processors nor the memory of everything else.

import { Semaphore } from "./semaphore.ts";

/** https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id (memory in KiB). */
const ARGON2ID = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const;

/** Of a random password that nobody knows, with the same parameters: what an unknown user's sign-in is compared with. */
const DUMMY_HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$xi3PhcrFVIB/ot32HCOvC77P6aCaEioTC0ipELJH6sQ$XvU7WMs0lz6wmEQIXSbDnvW0LFnlxNB25YFgR6mPGqs";

export type PasswordsOptions = {
  /** Hashes computed at once. */
  concurrencyMax: number;
  /** Calls that may wait for their turn; one more fails with PasswordsBusyError. */
  waitingMax: number;
};

export type Passwords = {
  hash(password: string): Promise<string>;
  /** Without a hash (an unknown user) it takes just as long, and is false. */
  verify(password: string, hash: string | undefined): Promise<boolean>;
};

export class PasswordsBusyError extends Error {
  constructor() {
    super("too many passwords are being checked just now");
    this.name = "PasswordsBusyError";
  }
}

export function createPasswords({ concurrencyMax, waitingMax }: PasswordsOptions): Passwords {
  const turns = new Semaphore(concurrencyMax);

  async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (!turns.tryAcquire()) {
      if (turns.waiting >= waitingMax) throw new PasswordsBusyError();
      await turns.acquire();
    }
    try {
      return await work();
    } finally {
      turns.release();
    }
  }

  return {
    hash: (password) => inTurn(() => Bun.password.hash(password, ARGON2ID)),
    verify: (password, hash) =>
      inTurn(async () => {
        const matches = await Bun.password.verify(password, hash ?? DUMMY_HASH);
        return matches && hash !== undefined;
      }),
  };
}
