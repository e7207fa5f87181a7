// What can go wrong, in the words of the domain. api/errors.ts alone knows which HTTP status each code becomes.

export type ErrorCode =
  | "malformed" // the request cannot be read at all
  | "invalid" // it can be read, and a field of it is wrong
  | "unauthenticated" // nobody is signed in, or not any more
  | "bad_credentials" // a sign-in that failed
  | "inactive_user"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "conflict"
  | "too_large"
  | "too_many_attempts"
  | "unavailable"; // a service that we need does not answer just now

/** `path` names the field as the caller wrote it: `body.events.0`, `query.limit`. */
export type FieldError = { path: string; message: string };

export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[] | undefined;
  /** Seconds after which the same call may succeed. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, detail: string, more: { errors?: readonly FieldError[]; retryAfterS?: number } = {}) {
    super(detail);
    this.name = "DomainError";
    this.code = code;
    this.errors = more.errors;
    this.retryAfterS = more.retryAfterS;
  }
}

export function notFound(what: string): DomainError {
  return new DomainError("not_found", `There is no such ${what}.`);
}

export function invalid(path: string, message: string): DomainError {
  return new DomainError("invalid", message, { errors: [{ path, message }] });
}
