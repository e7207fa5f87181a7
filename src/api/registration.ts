// How accounts come into being: by anyone where registration is open, with every right by a superuser.

import type { Static } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { insertUser, type User } from "../db/users.ts";
import { DomainError } from "../domain/error.ts";
import { callerOf } from "./auth.ts";
import type { Callers } from "./callers.ts";
import { jsonBody } from "./body.ts";
import { modelRef, operation } from "./operation.ts";
import type { ApiDeps } from "./ports.ts";
import { tokenPlugin } from "./tokens.ts";
import { NewAccount, SignUp } from "./user-fields.ts";
import { userView } from "./views.ts";

const created = { status: 201, description: "The new user", schema: modelRef("User") };

/** Creating an account needs no token; one that is sent counts, and has to be valid. */
export function registrationRoutes(deps: ApiDeps, callers: Callers) {
  return new Elysia({ prefix: "/users" })
    .use(tokenPlugin(deps.settings.jwtSecret))
    .post(
      "/",
      async ({ body, jwt, request, set }) => {
        const authorization = request.headers.get("authorization");
        const caller = authorization === null ? undefined : await callerOf(callers, jwt, authorization);
        set.status = 201;
        return userView(await createUser(deps, body, caller));
      },
      {
        parse: jsonBody,
        body: NewAccount,
        detail: operation({
          id: "create_user",
          tag: "users",
          summary: "Create a user",
          description: "Open to everyone where registration is open. Only a superuser may set the flags.",
          answer: created,
          errors: ["forbidden", "conflict"],
          takes: "body",
          access: "optional",
        }),
      },
    )
    .post(
      "/signup",
      async ({ body, set }) => {
        set.status = 201;
        const { email: address, password: secret, full_name = null } = body;
        return userView(await createUser(deps, { email: address, password: secret, full_name }, undefined));
      },
      {
        parse: jsonBody,
        body: SignUp,
        detail: operation({
          id: "sign_up",
          tag: "users",
          summary: "Create an account for oneself",
          answer: created,
          errors: ["forbidden", "conflict"],
          takes: "body",
          access: "public",
        }),
      },
    );
}

async function createUser(deps: ApiDeps, body: Static<typeof NewAccount>, caller: User | undefined): Promise<User> {
  const isSuperuser = body.is_superuser ?? false;
  const isActive = body.is_active ?? true;
  if (caller?.isSuperuser !== true) {
    if (deps.settings.registration === "closed") throw new DomainError("forbidden", "Registration is closed.");
    if (isSuperuser) throw new DomainError("forbidden", "Only a superuser may create a superuser.");
    if (!isActive) throw new DomainError("forbidden", "Only a superuser may create an inactive user.");
  }
  const passwordHash = await deps.passwords.hash(body.password);
  return insertUser(deps.db, {
    email: body.email,
    passwordHash,
    fullName: body.full_name ?? null,
    isActive,
    isSuperuser,
  });
}
