// Errors leave as RFC 9457 problem+json. The table here is the only place that turns a code into an HTTP status.

import type { TSchema } from "@sinclair/typebox";
import type { ValidationError } from "elysia";
import { DomainError, type ErrorCode, type FieldError } from "../domain/error.ts";
import { BatcherFullError } from "../lib/batcher.ts";
import { PasswordsBusyError } from "../lib/password.ts";

export const STATUSES: Record<ErrorCode, { status: number; title: string }> = {
  malformed: { status: 400, title: "Malformed request" },
  invalid: { status: 422, title: "Validation failed" },
  unauthenticated: { status: 401, title: "Not signed in" },
  bad_credentials: { status: 400, title: "Sign-in failed" },
  inactive_user: { status: 403, title: "Inactive user" },
  forbidden: { status: 403, title: "Forbidden" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "Method not allowed" },
  conflict: { status: 409, title: "Conflict" },
  too_large: { status: 413, title: "Body too large" },
  too_many_attempts: { status: 429, title: "Too many attempts" },
  unavailable: { status: 503, title: "Temporarily unavailable" },
};

/** A 500 says nothing of what went wrong inside; the log does, under the same request id. */
const INTERNAL = { status: 500, title: "Internal error", detail: "Something went wrong on our side." };

export function statusOf(error: DomainError | undefined): number {
  return error === undefined ? INTERNAL.status : STATUSES[error.code].status;
}

export function problemResponse(error: DomainError | undefined): Response {
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (error?.code === "unauthenticated") headers["www-authenticate"] = "Bearer";
  if (error?.retryAfterS !== undefined) headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterS)));
  const problem = problemOf(error);
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

export function problemOf(error: DomainError | undefined) {
  const { status, title } = error === undefined ? INTERNAL : STATUSES[error.code];
  return {
    type: `/problems/${error?.code ?? "internal"}`,
    title,
    status,
    detail: error === undefined ? INTERNAL.detail : detailOf(error),
    ...(error?.errors === undefined ? {} : { errors: error.errors }),
  };
}

/** Of a validation: which field is wrong and why, whoever found it. */
function detailOf({ message, errors }: DomainError): string {
  return errors === undefined ? message : errors.map((fault) => `${fault.path}: ${fault.message}`).join("; ");
}

/** What `thrown` means to the caller; undefined for what was not foreseen. */
export function domainErrorOf(code: string | number, thrown: unknown): DomainError | undefined {
  if (thrown instanceof DomainError) return thrown;
  // Elysia wraps what a route's `parse` throws.
  if (thrown instanceof Error && thrown.cause instanceof DomainError) return thrown.cause;
  if (thrown instanceof BatcherFullError || thrown instanceof PasswordsBusyError) {
    return new DomainError("unavailable", "Too many requests are waiting just now. Try again shortly.", {
      retryAfterS: 1,
    });
  }
  if (code === "NOT_FOUND") return new DomainError("not_found", "There is no such route.");
  if (code === "PARSE") return new DomainError("malformed", "The body cannot be read.");
  if (code === "VALIDATION") return validationError(thrown as ValidationError);
  return undefined;
}

/** One error per field: a union reports every branch that did not match. */
const FIELD_ERRORS_MAX = 20;

function validationError(thrown: ValidationError): DomainError | undefined {
  const place = thrown.type === "params" ? "path" : thrown.type;
  if (place === "response") return undefined;
  // One after the other: `all` finds hundreds of thousands before the first is looked at.
  const faults = "Errors" in thrown.validator ? thrown.validator.Errors(thrown.value) : thrown.all;
  return invalidFields(place, faults as Iterable<Fault>);
}

type Fault = { path: string; message: string; schema?: TSchema };

/** What a schema found wrong at `place`. */
export function invalidFields(place: string, faults: Iterable<Fault>): DomainError {
  const byPath = new Map<string, FieldError>();
  for (const fault of faults) {
    if (byPath.size >= FIELD_ERRORS_MAX) break;
    const path = `${place}${fieldPath(fault.path)}`;
    const description: unknown = fault.schema?.["x-message"];
    const message = typeof description === "string" ? description : fault.message;
    if (!byPath.has(path)) byPath.set(path, { path, message });
  }
  if (byPath.size === 0) byPath.set(place, { path: place, message: "Invalid value" });
  return new DomainError("invalid", "Some fields are wrong.", { errors: [...byPath.values()] });
}

/** `/events/0` → `.events.0`; a JSON pointer escapes `~` and `/` of keys. */
function fieldPath(pointer: string): string {
  return pointer.replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~");
}
