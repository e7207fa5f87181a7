import { expect, test } from "bun:test";
import { PasswordThrottle } from "../../src/api/throttle.ts";
import { DomainError } from "../../src/domain/error.ts";
import { ManualClock } from "../../src/lib/clock.ts";

const wrong = () => Promise.resolve(undefined);
const right = () => Promise.resolve("in");
const codeOf = (error: unknown) => (error instanceof DomainError ? error.code : String(error));

test("ten wrong sign-ins shut the door, until the first of them is 15 minutes old", async () => {
  const clock = new ManualClock();
  const throttle = new PasswordThrottle(clock);
  for (let failure = 0; failure < 10; failure += 1) {
    expect(await throttle.attempt("ada", wrong)).toBeUndefined();
    clock.advance(60_000);
  }
  const refused = await throttle.attempt("ada", right).catch((error: unknown) => error);
  expect(codeOf(refused)).toBe("too_many_attempts");
  expect((refused as DomainError).retryAfterS).toBe(300);
  expect(await throttle.attempt("grace", right)).toBe("in");
  clock.advance(300_000);
  expect(await throttle.attempt("ada", right)).toBe("in");
});

test("right ones never count", async () => {
  const throttle = new PasswordThrottle(new ManualClock());
  for (let time = 0; time < 30; time += 1) expect(await throttle.attempt("ada", right)).toBe("in");
});

test("a burst is not tried before its first failures are known", async () => {
  const throttle = new PasswordThrottle(new ManualClock());
  let tried = 0;
  const guess = () => {
    tried += 1;
    return wrong();
  };
  const results = await Promise.allSettled(Array.from({ length: 40 }, () => throttle.attempt("ada", guess)));
  expect(tried).toBe(10);
  expect(results.filter((result) => result.status === "rejected")).toHaveLength(30);
});

test("who waits for a sign-in that the database does not answer is told so with it", async () => {
  const throttle = new PasswordThrottle(new ManualClock());
  const frozen = Promise.withResolvers<undefined>();
  let tried = 0;
  const signIn = () => {
    tried += 1;
    return frozen.promise;
  };
  const all = Promise.allSettled(Array.from({ length: 20 }, () => throttle.attempt("ada", signIn)));
  frozen.reject(new DomainError("unavailable", "no answer"));
  for (const result of await all) {
    expect(codeOf(result.status === "rejected" ? result.reason : result)).toBe("unavailable");
  }
  expect(tried).toBe(10);
  expect(await throttle.attempt("ada", right)).toBe("in");
});
