// Sign-in by the OAuth2 password flow (RFC 6749, section 4.3), which Swagger UI's Authorize button speaks.

import { Elysia } from "elysia";
import { Type } from "@sinclair/typebox";
import { findUserByEmail, type User } from "../db/users.ts";
import { DomainError } from "../domain/error.ts";
import type { Auth } from "./auth.ts";
import { formBody } from "./body.ts";
import { fields } from "./fields.ts";
import { modelRef, operation } from "./operation.ts";
import type { ApiDeps } from "./ports.ts";
import { addressOf, PasswordThrottle } from "./throttle.ts";
import { signToken, tokenPlugin } from "./tokens.ts";
import { userView } from "./views.ts";

const Credentials = fields(
  { username: Type.String({ maxLength: 254 }), password: Type.String({ maxLength: 1_024, "x-format": "password" }) },
  // The user of the example of POST /users/.
  { example: { username: "grace@example.com", password: "a long enough password" } },
);

const signInOperation = operation({
  id: "sign_in",
  tag: "login",
  summary: "Sign in",
  description: "`username` is the e-mail. The token is valid for 24 hours, or until the password changes.",
  answer: { status: 200, description: "An access token", schema: modelRef("Token") },
  errors: ["bad_credentials", "too_many_attempts"],
  takes: "body",
  access: "public",
});

export function loginRoutes(deps: ApiDeps) {
  const throttle = new PasswordThrottle(deps.clock);
  return new Elysia({ prefix: "/login" }).use(tokenPlugin(deps.settings.jwtSecret)).post(
    "/access-token",
    async ({ body, jwt, server, request }) => {
      const user = await signIn(deps, throttle, addressOf(server, request), body);
      deps.observe("user.signed_in", { user_id: user.id });
      return { access_token: await signToken(jwt, user, deps.clock.now()), token_type: "bearer" };
    },
    { parse: formBody("username", "password"), body: Credentials, detail: signInOperation },
  );
}

export function testTokenRoutes(auth: Auth) {
  const detail = operation({
    id: "test_token",
    tag: "login",
    summary: "Say who the token belongs to",
    answer: { status: 200, description: "The caller", schema: modelRef("User") },
  });
  return new Elysia({ prefix: "/login" })
    .use(auth)
    .post("/test-token", ({ caller }) => userView(caller), { parse: "none", detail });
}

async function signIn(
  deps: ApiDeps,
  throttle: PasswordThrottle,
  address: string,
  credentials: { username: string; password: string },
): Promise<User> {
  const verify = async () => {
    const user = await findUserByEmail(deps.db, credentials.username);
    return (await deps.passwords.verify(credentials.password, user?.passwordHash)) ? user : undefined;
  };
  const key = `${address} ${lowerAsPostgres(credentials.username)}`;
  const user = await throttle.attempt(key, verify).catch((error: unknown) => {
    if (error instanceof DomainError && error.code === "too_many_attempts") {
      deps.observe("sign_in.throttled", { address });
    }
    throw error;
  });
  if (user === undefined) throw new DomainError("bad_credentials", "Incorrect e-mail or password.");
  if (!user.isActive) throw new DomainError("bad_credentials", "This user is inactive.");
  return user;
}

/** Character by character and one for one: an i that is written as İ must not give an account ten more tries. */
function lowerAsPostgres(text: string): string {
  return Array.from(text, (character) => Array.from(character.toLowerCase())[0]).join("");
}
