// Bodies of requests: read up to a bound, decoded, and refused when they hold what Postgres cannot store. The JSON text
// is kept beside the parsed value, for fields that must come out byte for byte as they went in.

import { DomainError, type FieldError, invalid } from "../domain/error.ts";
import { REQUEST_BODY_BYTES_MAX } from "../domain/limits.ts";
import { memberCount, type RawJson, rawJsonMember, rawTokens } from "../lib/json.ts";

type WithRequest = { request: Request };

/** Postgres' parser of JSON recurses: far below its stack's bound, and deeper than anybody's data. */
const JSON_DEPTH_MAX = 100;

const texts = new WeakMap<Request, string>();

/** A route's `parse`. An empty body is null, which no schema takes. */
export async function jsonBody({ request }: WithRequest): Promise<unknown> {
  const { value, text } = await readJson(request);
  refuseUnstorable(value, "body", text);
  return value;
}

/** The same, for a body that may be left out: then it is an empty object. */
export async function optionalJsonBody({ request }: WithRequest): Promise<unknown> {
  return (await jsonBody({ request })) ?? {};
}

/** As jsonBody, but for the elements of the list `name`: each is to be checked for itself, by refuseUnstorable. */
export function jsonBodyWithList(name: string) {
  return async ({ request }: WithRequest): Promise<unknown> => {
    const { value } = await readJson(request);
    const members = value as Record<string, unknown> | null;
    refuseUnstorable(Array.isArray(members?.[name]) ? { ...members, [name]: [] } : value, "body");
    return value;
  };
}

async function readJson(request: Request): Promise<{ value: unknown; text: string }> {
  const text = await readText(request);
  texts.set(request, text);
  return { value: text.trim() === "" ? null : parseJson(text), text };
}

/** A route's `parse` for a form, in either encoding, of which `names` matter. The first value of a field counts. */
export function formBody(...names: readonly string[]) {
  return async ({ request }: WithRequest): Promise<Record<string, unknown>> => {
    const form = await readForm(request);
    const value = Object.fromEntries(names.map((name) => [name, form.get(name) ?? undefined]));
    refuseUnstorable(value, "body");
    return value;
  };
}

async function readForm(request: Request): Promise<{ get(name: string): unknown }> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data/i.test(type)) return new URLSearchParams(await readText(request));
  const bytes = await readBytes(request);
  try {
    return await new Response(bytes, { headers: { "content-type": type } }).formData();
  } catch {
    throw new DomainError("malformed", "The body is not a valid form.");
  }
}

/** The JSON text of a member of the body, as the caller wrote it; undefined when it is missing. */
export function rawMember(request: Request, name: string): RawJson | undefined {
  return rawJsonMember(texts.get(request) ?? "", name);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The body as text. Throws too_large past the bound, and malformed when it is not UTF-8. */
export async function readText(request: Request): Promise<string> {
  const bytes = await readBytes(request);
  try {
    return decoder.decode(bytes);
  } catch {
    throw new DomainError("malformed", "The body is not UTF-8.");
  }
}

async function readBytes(request: Request): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    if (Number(announced) > REQUEST_BODY_BYTES_MAX) throw tooLarge();
    return request.bytes();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > REQUEST_BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): DomainError {
  return new DomainError("too_large", `A body may have up to ${REQUEST_BODY_BYTES_MAX} bytes.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DomainError("malformed", "The body is not valid JSON.");
  }
}

/**
 * Throws invalid for what Postgres cannot store. `text` is what `value` was read from: of members of one name in one object
 * `value` has the last, but what is stored and sent is the text, with all of them.
 */
export function refuseUnstorable(value: unknown, path: string, text?: string): void {
  const seen = { members: 0 };
  const fault =
    unstorable(value, path, 0, seen) ??
    (text !== undefined && memberCount(text) > seen.members ? unstorableIn(text, path) : undefined);
  if (fault !== undefined) throw invalid(fault.path, fault.message);
}

/** Counts the members that it sees, until it finds a fault. */
function unstorable(value: unknown, path: string, depth: number, seen: { members: number }): FieldError | undefined {
  if (typeof value !== "object" || value === null) return unstorableScalar(value, path);
  if (depth >= JSON_DEPTH_MAX) return tooDeep(path);
  if (typeof value.toString !== "function") speakFor(value);
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value)) {
    if (!isList) seen.members += 1;
    const fault = unstorableScalar(key, path) ?? unstorable(item, `${path}.${key}`, depth + 1, seen);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function unstorableIn(text: string, path: string): FieldError | undefined {
  for (const { value, depth } of rawTokens(text)) {
    const fault = depth > JSON_DEPTH_MAX ? tooDeep(path) : unstorableScalar(value, path);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function tooDeep(path: string): FieldError {
  return { path, message: `Nested more than ${JSON_DEPTH_MAX} levels deep.` };
}

/** Elysia puts a refused value into its message, and fails on an object that has a member `toString`. */
function speakFor(value: object): void {
  Object.defineProperty(value, Symbol.toPrimitive, { value: () => "[object]" });
}

function unstorableScalar(value: unknown, path: string): FieldError | undefined {
  if (typeof value === "number" && !Number.isFinite(value)) return { path, message: "This number is too large." };
  return typeof value === "string" ? unstorableText(value, path) : undefined;
}

function unstorableText(text: string, path: string): FieldError | undefined {
  if (text.includes("\u0000")) return { path, message: "Text may not contain the character U+0000." };
  if (!text.isWellFormed()) return { path, message: "Text may not contain lone surrogates." };
  return undefined;
}
