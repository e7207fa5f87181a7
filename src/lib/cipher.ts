// Encryption at rest: AES-256-GCM with a random nonce for every text, bound to what it belongs to by associated data.
// A ciphertext is one version byte, 12 bytes of nonce, 16 bytes of tag, and the data.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
const VERSION = 1;
const NONCE_END = 1 + 12;
const TAG_END = NONCE_END + 16;

export type Cipher = {
  /** Stored beside a ciphertext to say which key made it: the first 8 hex digits of the key's SHA-256. */
  readonly keyId: string;
  encrypt(text: string, associatedData: string): Buffer;
  /** Throws CipherError for another key, other associated data, or a changed ciphertext. */
  decrypt(ciphertext: Uint8Array, associatedData: string): string;
};

/** Says what is wrong without a byte of key or text. */
export class CipherError extends Error {
  constructor(why: string) {
    super(`cannot decrypt: ${why}`);
    this.name = "CipherError";
  }
}

/** `key` is 32 bytes. */
export function createCipher(key: Uint8Array): Cipher {
  if (key.length !== KEY_BYTES) throw new Error(`an encryption key must be ${KEY_BYTES} bytes long, not ${key.length}`);
  return {
    keyId: createHash("sha256").update(key).digest("hex").slice(0, 8),

    encrypt(text, associatedData) {
      const nonce = randomBytes(NONCE_END - 1);
      const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(associatedData));
      const data = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), data]);
    },

    decrypt(ciphertext, associatedData) {
      if (ciphertext.length < TAG_END) throw new CipherError("the ciphertext is too short");
      if (ciphertext[0] !== VERSION) throw new CipherError(`version ${ciphertext[0]} is unknown`);
      const decipher = createDecipheriv(ALGORITHM, key, ciphertext.subarray(1, NONCE_END));
      decipher.setAAD(Buffer.from(associatedData)).setAuthTag(ciphertext.subarray(NONCE_END, TAG_END));
      try {
        return decipher.update(ciphertext.subarray(TAG_END), undefined, "utf8") + decipher.final("utf8");
      } catch {
        throw new CipherError("made with another key, for another owner, or changed since");
      }
    },
  };
}
