// Access tokens: JWT with HS256. `ver` is the user's token version, which a password change raises.

import { jwt } from "@elysiajs/jwt";
import type { User } from "../db/users.ts";
import { isUuid, type UserId } from "../domain/ids.ts";

const ISSUER = "fairpost";
const AUDIENCE = "fairpost-api";

/** A working day and its night: after that one signs in again. */
const LIFETIME_S = 24 * 3_600;

export function tokenPlugin(secret: string) {
  return jwt({ name: "jwt", secret, iss: ISSUER, aud: AUDIENCE });
}

export type Jwt = ReturnType<typeof tokenPlugin>["decorator"]["jwt"];

export function signToken(tokens: Jwt, user: User, nowMs: number): Promise<string> {
  return tokens.sign({ sub: user.id, ver: user.tokenVersion, exp: Math.floor(nowMs / 1_000) + LIFETIME_S });
}

/** `expiresAt`: milliseconds since the epoch. */
export type Claims = { userId: UserId; version: number; expiresAt: number };

/** Undefined for a token that is not ours, or not valid any more. */
export async function readToken(tokens: Jwt, token: string, nowMs: number): Promise<Claims | undefined> {
  const claims = await tokens.verify(token, {
    algorithms: ["HS256"],
    issuer: ISSUER,
    audience: AUDIENCE,
    requiredClaims: ["exp", "sub"],
    currentDate: new Date(nowMs),
  });
  if (claims === false || typeof claims.sub !== "string" || !isUuid(claims.sub)) return undefined;
  if (typeof claims["ver"] !== "number" || claims.exp === undefined) return undefined;
  return { userId: claims.sub as UserId, version: claims["ver"], expiresAt: claims.exp * 1_000 };
}
