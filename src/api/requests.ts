// What happens to every request: an id on the answer, a line in the log, objects written as JSON, and errors as problems.

import { Elysia } from "elysia";
import { DomainError } from "../domain/error.ts";
import { newId } from "../domain/ids.ts";
import { REQUEST_BODY_BYTES_MAX } from "../domain/limits.ts";
import { type Json, jsonText } from "../lib/json.ts";
import { describeError } from "../observe/log.ts";
import { domainErrorOf, problemResponse, statusOf } from "./errors.ts";
import type { KnownPaths } from "./known-paths.ts";
import type { ApiDeps } from "./ports.ts";

type Arrival = { id: string; atMs: number };

/** Tokens and secrets among them: no cache may keep an answer (RFC 6749, section 5.1). */
const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

/** An id that may go into a header and a log line as it is. */
const SANE_ID = /^[A-Za-z0-9._:-]{1,128}$/;

export function requestPlugin({ clock, observe }: Pick<ApiDeps, "clock" | "observe">, knownPaths: KnownPaths) {
  const arrivals = new WeakMap<Request, Arrival>();
  return new Elysia({ name: "fairpost.requests" })
    .onRequest(({ request, set }) => {
      const given = request.headers.get("x-request-id") ?? "";
      const id = SANE_ID.test(given) ? given : newId<never>();
      arrivals.set(request, { id, atMs: clock.monotonic() });
      set.headers["x-request-id"] = id;
      refuseLargeBody(request);
    })
    .mapResponse({ as: "global" }, ({ responseValue, set }) => {
      if (!isJson(responseValue)) return undefined;
      const status = typeof set.status === "number" ? set.status : 200;
      return new Response(jsonText(responseValue), { status, headers: JSON_HEADERS });
    })
    .onError({ as: "global" }, ({ error, code, request, set }) => {
      const methods = code === "NOT_FOUND" ? knownPaths.methodsAt(pathOf(request)) : [];
      const foreseen = methods.length > 0 ? otherMethod(methods) : domainErrorOf(code, error);
      if (methods.length > 0) set.headers["allow"] = methods.join(", ");
      const status = statusOf(foreseen);
      set.status = status;
      // Not to be ready is an answer.
      if (status >= 500 && pathOf(request) !== "/ready") {
        observe("request.failed", {
          request_id: arrivals.get(request)?.id ?? "",
          method: request.method,
          path: pathOf(request),
          status,
          error: describeError(error),
        });
      }
      return problemResponse(foreseen);
    })
    .onAfterResponse({ as: "global" }, ({ request, responseValue, set }) => {
      const arrival = arrivals.get(request);
      if (arrival === undefined) return;
      const ofSet = typeof set.status === "number" ? set.status : 200;
      observe("request.answered", {
        request_id: arrival.id,
        method: request.method,
        path: pathOf(request),
        status: responseValue instanceof Response ? responseValue.status : ofSet,
        latency_ms: Math.round(clock.monotonic() - arrival.atMs),
      });
    });
}

function otherMethod(methods: readonly string[]): DomainError {
  return new DomainError("method_not_allowed", `This path takes ${methods.join(", ")}.`);
}

/** Before anything is read or asked. A body of unannounced length is counted while it is read. */
function refuseLargeBody(request: Request): void {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > REQUEST_BODY_BYTES_MAX) {
    throw new DomainError("too_large", `A body may have up to ${REQUEST_BODY_BYTES_MAX} bytes.`);
  }
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !(value instanceof Response);
}

/** Without the query, which may hold what people searched for. */
function pathOf({ url }: Request): string {
  const from = url.indexOf("/", url.indexOf("://") + 3);
  const query = url.indexOf("?", from);
  return url.slice(from, query === -1 ? undefined : query);
}
