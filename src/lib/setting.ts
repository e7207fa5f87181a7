// A setting as text from outside: its name, what it means, and how its value is read. The parsers throw an Error whose
// message says what would be right.

import { parseNetwork } from "./network.ts";

export type Setting<Value> = {
  name: string;
  /** As it would be written in the environment; undefined where there is none. */
  default: string | undefined;
  description: string;
  /** The value is never shown. */
  isSecret: boolean;
  /** Throws an Error whose message continues "NAME=value: ". */
  parse: (text: string) => Value;
};

/** How many waits a schedule may have, and the longest of them: beyond, it is a mistake. */
const WAITS_MAX = 100;
const WAIT_S_MAX = 30 * 86_400;

export function setting<Value>(
  name: string,
  fallback: string | undefined,
  description: string,
  parse: (text: string) => Value,
): Setting<Value> {
  return { name, default: fallback, description, isSecret: false, parse };
}

export function secret<Value>(name: string, description: string, parse: (text: string) => Value): Setting<Value> {
  return { name, default: undefined, description, isSecret: true, parse };
}

export function wholeNumber(text: string, min: number, max: number): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max) {
    throw new Error(`should be a whole number from ${min} to ${max}`);
  }
  return number;
}

export function oneOf<Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text.toLowerCase());
  if (word === undefined) throw new Error(`should be one of ${words.join(", ")}`);
  return word;
}

export function matching(text: string, pattern: RegExp, otherwise: string): string {
  if (!pattern.test(text)) throw new Error(otherwise);
  return text;
}

export function postgresUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2) {
    throw new Error("should look like postgres://user:password@host:5432/database");
  }
  return text;
}

export function natsUrls(text: string): string {
  for (const server of text.split(",").map((part) => part.trim())) {
    const url = URL.parse(server.includes("://") ? server : `nats://${server}`);
    if (url === null || !/^(nats|tls):$/.test(url.protocol) || url.hostname === "") {
      throw new Error("should look like nats://host:4222, several of them separated by commas");
    }
  }
  return text;
}

export function ofLength(text: string, min: number, max: number): string {
  if (text.length >= min && text.length <= max) return text;
  const bounds = max === Number.POSITIVE_INFINITY ? `${min} characters or more` : `${min} to ${max} characters`;
  throw new Error(`should have ${bounds}, has ${text.length}`);
}

export function base64Bytes(text: string, length: number): Uint8Array {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  if (isBase64 && bytes.length === length) return bytes;
  const found = isBase64 ? `is base64 of ${bytes.length}` : "is not base64";
  throw new Error(`should be ${length} bytes in base64 (openssl rand -base64 ${length}), ${found}`);
}

export function email(text: string): string {
  return matching(text, /^[^\s@]+@[^\s@]+$/, "should be an e-mail address");
}

export function networks(text: string): string[] {
  if (text === "") return [];
  const networks = text.split(",").map((part) => part.trim());
  const wrong = networks
    .filter((network) => parseNetwork(network) === undefined)
    .map((network) => network || "(nothing)");
  if (wrong.length === 0) return networks;
  throw new Error(`${wrong.join(", ")}: should be networks like 10.0.0.0/8 or fd00::/8, or addresses`);
}

export function waitsInSeconds(text: string): number[] {
  const entries = text.split(",").map((part) => part.trim());
  const seconds = entries.map(Number);
  const isRight = entries.every((entry, index) => /^\d+(\.\d+)?$/.test(entry) && (seconds[index] ?? 0) <= WAIT_S_MAX);
  if (!isRight || entries.length > WAITS_MAX) {
    throw new Error(`should be up to ${WAITS_MAX} waits in seconds, each at most ${WAIT_S_MAX}, like 1,5,25`);
  }
  return seconds;
}
