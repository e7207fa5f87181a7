// JSON text in and out without loss: JSON.parse spoils integers over 2^53 and moves integer-like keys to the front,
// so what a caller wrote is cut out of the text and passed on as it is.

/** JSON text that is written as it is. Whoever makes one vouches that the text is valid JSON. */
export class RawJson {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Json =
  string | number | boolean | null | Date | RawJson | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A string that stands in JSON as it is: without quotes, backslashes, control characters and halves of surrogate pairs. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** As JSON.stringify, with RawJson written as it is and members that are undefined left out. */
export function jsonText(value: Json): string {
  if (typeof value === "string") return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (value instanceof RawJson) return value.text;
  if (value instanceof Date) return `"${value.toISOString()}"`;
  let text = "";
  if (isList(value)) {
    for (const item of value) text += `${text === "" ? "" : ","}${jsonText(item)}`;
    return `[${text}]`;
  }
  for (const key in value) {
    const item = value[key];
    if (item !== undefined) text += `${text === "" ? "" : ","}${jsonText(key)}:${jsonText(item)}`;
  }
  return `{${text}}`;
}

/**
 * The text of the member `name` of the object that `text` is; the last one if it occurs twice, as JSON.parse has it.
 * `text` must be valid JSON. Undefined when it is no object or has no such member.
 */
export function rawJsonMember(text: string, name: string): RawJson | undefined {
  let at = afterSpace(text, 0);
  if (text[at] !== "{") return undefined;
  let found: RawJson | undefined;
  at = afterSpace(text, at + 1);
  while (text[at] === '"') {
    const keyEnd = afterString(text, at);
    const key: unknown = JSON.parse(text.slice(at, keyEnd));
    const start = afterSpace(text, afterSpace(text, keyEnd) + 1);
    const end = afterValue(text, start);
    if (key === name) found = new RawJson(text.slice(start, end));
    at = afterSpace(text, end);
    if (text[at] === ",") at = afterSpace(text, at + 1);
  }
  return found;
}

/** The texts of the elements of the array that `text` is, in their order. `text` must be valid JSON. */
export function rawJsonElements(text: string): RawJson[] {
  const elements: RawJson[] = [];
  let at = afterSpace(text, 0);
  if (text[at] !== "[") return elements;
  at = afterSpace(text, at + 1);
  while (at < text.length && text[at] !== "]") {
    const end = afterValue(text, at);
    elements.push(new RawJson(text.slice(at, end)));
    at = afterSpace(text, end);
    if (text[at] === ",") at = afterSpace(text, at + 1);
  }
  return elements;
}

/** How many members all objects in `text` have, those of one name each counted. `text` must be valid JSON. */
export function memberCount(text: string): number {
  let count = 0;
  for (let at = text.indexOf('"'); at !== -1;) {
    const end = afterString(text, at);
    if (text[afterSpace(text, end)] === ":") count += 1;
    at = text.indexOf('"', end);
  }
  return count;
}

const NUMBER = /-?\d[\d.eE+-]*/y;

/** What `text` holds in its order, names of members too: strings, numbers, and how deep objects and lists are nested. */
export function* rawTokens(text: string): Generator<{ value: string | number | undefined; depth: number }> {
  let depth = 0;
  for (let at = 0; at < text.length;) {
    const char = text.charAt(at);
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(text)?.[0];
    if (char === '"' || number !== undefined) {
      const end = number === undefined ? afterString(text, at) : at + number.length;
      yield { value: JSON.parse(text.slice(at, end)) as string | number, depth };
      at = end;
      continue;
    }
    if (char === "{" || char === "[") yield { value: undefined, depth: (depth += 1) };
    else if (char === "}" || char === "]") depth -= 1;
    at += 1;
  }
}

function afterSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text.charAt(at))) at += 1;
  return at;
}

/** `from` is at the opening quote. A quote ends the string unless an odd number of backslashes precedes it. */
function afterString(text: string, from: number): number {
  let quote = from;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote === -1) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
}

function afterValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '"') {
      at = afterString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (depth === 0 && ",}] \t\n\r".includes(char)) return at;
    at += 1;
    if (char === "{" || char === "[") depth += 1;
    else if (char === "}" || char === "]") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return at;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
