// What is encrypted comes back to its owner alone, unchanged or not at all.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { CipherError, createCipher } from "../../src/lib/cipher.ts";

const key = Buffer.alloc(32, 1);
const cipher = createCipher(key);

test("every text comes back, and no two ciphertexts are alike", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, owner) => {
      const ciphertext = cipher.encrypt(text, owner);
      expect(cipher.decrypt(ciphertext, owner)).toBe(text);
      expect(cipher.encrypt(text, owner)).not.toEqual(ciphertext);
    }),
  );
});

test("a change of any byte, another owner and another key are found out, without telling a secret", () => {
  const secret = "whsec_c2VjcmV0";
  const ciphertext = cipher.encrypt(secret, "owner");
  const changed = Array.from(ciphertext, (byte, index) => Uint8Array.from(ciphertext).with(index, byte ^ 1));
  const attempts = [
    ...changed.map((bytes) => () => cipher.decrypt(bytes, "owner")),
    ...Array.from(ciphertext, (_, end) => () => cipher.decrypt(ciphertext.subarray(0, end), "owner")),
    () => cipher.decrypt(ciphertext, "another"),
    () => createCipher(Buffer.alloc(32, 2)).decrypt(ciphertext, "owner"),
  ];
  for (const attempt of attempts) {
    expect(attempt).toThrow(CipherError);
    expect(attempt).not.toThrow(/whsec|c2VjcmV0/);
  }
});

test("the key's id is short and says which key", () => {
  expect(cipher.keyId).toMatch(/^[0-9a-f]{8}$/);
  expect(createCipher(key).keyId).toBe(cipher.keyId);
  expect(createCipher(Buffer.alloc(32, 2)).keyId).not.toBe(cipher.keyId);
  expect(() => createCipher(Buffer.alloc(31))).toThrow("must be 32 bytes long, not 31");
});
