// Who is calling. A token of a deleted or inactive user, or from before a password change, ends with the next request, or
// within a second where another process made the change. Runs before the rest of a request is validated.

import { Elysia } from "elysia";
import type { User } from "../db/users.ts";
import { DomainError } from "../domain/error.ts";
import type { Callers } from "./callers.ts";
import type { ApiDeps } from "./ports.ts";
import { type Jwt, tokenPlugin } from "./tokens.ts";

/** Gives the routes of the instance that uses it a `caller`. */
export function authPlugin(deps: ApiDeps, callers: Callers) {
  return new Elysia({ name: "fairpost.auth" })
    .use(tokenPlugin(deps.settings.jwtSecret))
    .derive({ as: "scoped" }, async ({ jwt, request }) => ({
      caller: await callerOf(callers, jwt, request.headers.get("authorization")),
    }));
}

export type Auth = ReturnType<typeof authPlugin>;

/** Throws unauthenticated, and inactive_user. */
export async function callerOf(callers: Callers, tokens: Jwt, authorization: string | null): Promise<User> {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined) throw unauthenticated("Sign in, and send the token as `Authorization: Bearer ...`.");
  const claims = await callers.claimsOf(tokens, token);
  if (claims === undefined) throw unauthenticated("The token is not valid, or has expired.");
  const user = await callers.userOf(claims.userId);
  if (user === undefined || user.tokenVersion !== claims.version)
    throw unauthenticated("The token is not valid any more.");
  if (!user.isActive) throw new DomainError("inactive_user", "This user is inactive.");
  return user;
}

function unauthenticated(detail: string): DomainError {
  return new DomainError("unauthenticated", detail);
}
