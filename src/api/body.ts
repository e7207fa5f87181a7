// Bodies of requests: read up to a bound, decoded, and refused when they hold what Postgres cannot store. The JSON text
// is kept beside the parsed value, for fields that must come out byte for byte as they went in.

import { DomainError, type FieldError, invalid } from "../domain/error.ts";
import { REQUEST_BODY_BYTES_MAX } from "../domain/limits.ts";
import { type RawJson, rawJsonMember } from "../lib/json.ts";

type WithRequest = { request: Request };

/** Postgres' parser of JSON recurses: far below its stack's bound, and deeper than anybody's data. */
const JSON_DEPTH_MAX = 100;

const texts = new WeakMap<Request, string>();

/** A route's `parse`. An empty body is null, which no schema takes. */
export async function jsonBody({ request }: WithRequest): Promise<unknown> {
  const text = await readText(request);
  if (text.trim() === "") return null;
  const value = parseJson(text);
  refuseUnstorable(value);
  texts.set(request, text);
  return value;
}

/** The same, for a body that may be left out: then it is an empty object. */
export async function optionalJsonBody({ request }: WithRequest): Promise<unknown> {
  return (await jsonBody({ request })) ?? {};
}

/** A route's `parse` for a form. The first value of a field counts. */
export async function formBody({ request }: WithRequest): Promise<Record<string, string>> {
  const form = new URLSearchParams(await readText(request));
  const value = Object.fromEntries([...form].toReversed());
  refuseUnstorable(value);
  return value;
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

function refuseUnstorable(value: unknown): void {
  const fault = unstorable(value, "body", 0);
  if (fault !== undefined) throw invalid(fault.path, fault.message);
}

function unstorable(value: unknown, path: string, depth: number): FieldError | undefined {
  if (typeof value === "string") return unstorableText(value, path);
  if (typeof value === "number" && !Number.isFinite(value)) return { path, message: "This number is too large." };
  if (typeof value !== "object" || value === null) return undefined;
  if (depth >= JSON_DEPTH_MAX) return { path, message: `Nested more than ${JSON_DEPTH_MAX} levels deep.` };
  if (typeof value.toString !== "function") speakFor(value);
  for (const [key, item] of Object.entries(value)) {
    const fault = unstorableText(key, path) ?? unstorable(item, `${path}.${key}`, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Elysia puts a refused value into its message, and fails on an object that has a member `toString`. */
function speakFor(value: object): void {
  Object.defineProperty(value, Symbol.toPrimitive, { value: () => "[object]" });
}

function unstorableText(text: string, path: string): FieldError | undefined {
  if (text.includes("\u0000")) return { path, message: "Text may not contain the character U+0000." };
  if (!text.isWellFormed()) return { path, message: "Text may not contain lone surrogates." };
  return undefined;
}
