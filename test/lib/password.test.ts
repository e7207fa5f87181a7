// Passwords verify, unknown users cost as much as known ones, and a flood is bounded.

import { expect, test } from "bun:test";
import { createPasswords, PasswordsBusyError } from "../../src/lib/password.ts";

const passwords = createPasswords({ concurrencyMax: 2, waitingMax: 100 });

test("the right password verifies, a wrong one does not, and no hash is like another", async () => {
  const hash = await passwords.hash("correct horse");
  expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$");
  expect(await passwords.verify("correct horse", hash)).toBe(true);
  expect(await passwords.verify("Correct horse", hash)).toBe(false);
  expect(await passwords.hash("correct horse")).not.toBe(hash);
});

test("an unknown user's password is false after the same work", async () => {
  expect(await passwords.verify("anything", undefined)).toBe(false);
});

test("a flood waits, and beyond the waiting line it is refused", async () => {
  const few = createPasswords({ concurrencyMax: 1, waitingMax: 2 });
  const flood = Array.from({ length: 10 }, () => few.verify("x", undefined));
  const results = await Promise.allSettled(flood);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toBeInstanceOf(PasswordsBusyError);
  }
  expect(await few.verify("x", undefined)).toBe(false);
});
