// Accounts. Everyone manages their own; a superuser manages all. To everyone else another user does not exist.

import type { Static } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { deleteUser, findUser, listUsers, updateUser, type User, type UserChange } from "../db/users.ts";
import { DomainError, invalid, notFound } from "../domain/error.ts";
import type { UserId } from "../domain/ids.ts";
import type { Auth } from "./auth.ts";
import type { Callers } from "./callers.ts";
import { jsonBody } from "./body.ts";
import { fields, idOf, idParams } from "./fields.ts";
import { modelRef, operation, pageOfModel } from "./operation.ts";
import { pageOf, pageQuery } from "./paging.ts";
import type { ApiDeps } from "./ports.ts";
import { addressOf, PasswordThrottle } from "./throttle.ts";
import { AccountChange, NewPassword, OwnChange } from "./user-fields.ts";
import { userView } from "./views.ts";

const user = { status: 200, description: "The user", schema: modelRef("User") };
const gone = { status: 204, description: "Done" };
const deletion =
  "Its webhooks are deleted and their pending deliveries cancelled. A superuser cannot delete itself. Not reversible.";

/** A changed user is not to be remembered as it was. */
type UserDeps = ApiDeps & { callers: Callers };

export function userRoutes(apiDeps: ApiDeps, auth: Auth, callers: Callers) {
  const deps = { ...apiDeps, callers };
  const { db } = deps;
  const throttle = new PasswordThrottle(deps.clock);
  return new Elysia({ prefix: "/users" })
    .use(auth)
    .get(
      "/",
      async ({ caller, query }) => {
        const page = pageOf(query);
        if (!caller.isSuperuser) return { data: page.skip === 0 ? [userView(caller)] : [], count: 1 };
        const { data, count } = await listUsers(db, caller.id, page);
        return { data: data.map(userView), count };
      },
      {
        query: fields(pageQuery),
        detail: operation({
          id: "list_users",
          tag: "users",
          summary: "List users",
          description: "A superuser sees all of them, everyone else themselves.",
          answer: { status: 200, description: "Users", schema: pageOfModel("User") },
          takes: "parameters",
        }),
      },
    )
    .get("/me", ({ caller }) => userView(caller), {
      detail: operation({ id: "get_me", tag: "users", summary: "Show oneself", answer: user }),
    })
    .patch("/me", async ({ caller, body }) => userView(await changed(deps, caller.id, ownChange(body))), {
      parse: jsonBody,
      body: OwnChange,
      detail: operation({
        id: "update_me",
        tag: "users",
        summary: "Change oneself",
        answer: user,
        errors: ["conflict"],
        takes: "body",
      }),
    })
    .delete(
      "/me",
      async ({ caller, set }) => {
        await remove(deps, caller, caller.id);
        set.status = 204;
      },
      {
        parse: "none",
        detail: operation({
          id: "delete_me",
          tag: "users",
          summary: "Delete oneself",
          description: deletion,
          answer: gone,
          errors: ["forbidden"],
        }),
      },
    )
    .patch(
      "/me/password",
      async ({ caller, body, set, server, request }) => {
        // Whoever has come by a token only must not find the password out, nor keep its owner from changing it.
        const key = `${addressOf(server, request)} ${caller.id}`;
        const isRight = await throttle.attempt(key, async () =>
          (await deps.passwords.verify(body.current_password, caller.passwordHash)) ? true : undefined,
        );
        if (isRight === undefined) throw new DomainError("bad_credentials", "The current password is not right.");
        if (body.new_password === body.current_password) {
          throw invalid("body.new_password", "The new password has to be another one.");
        }
        const passwordHash = await deps.passwords.hash(body.new_password);
        const updated = await updateUser(db, caller.id, { passwordHash }, caller.tokenVersion);
        callers.forget(caller.id);
        // Changed meanwhile: what was right by the former password is not right any more.
        if (updated === undefined) throw new DomainError("unauthenticated", "The token is not valid any more.");
        set.status = 204;
      },
      {
        parse: jsonBody,
        body: NewPassword,
        detail: operation({
          id: "change_password",
          tag: "users",
          summary: "Change one's password",
          description: "Ends every token that was issued before, the one of this request too.",
          answer: gone,
          errors: ["bad_credentials", "too_many_attempts"],
          takes: "body",
        }),
      },
    )
    .get("/:id", async ({ caller, params }) => userView(await visibleUser(deps, caller, idOf(params))), {
      params: idParams("user"),
      detail: operation({
        id: "get_user",
        tag: "users",
        summary: "Show a user",
        answer: user,
        errors: ["not_found"],
        takes: "parameters",
      }),
    })
    .patch(
      "/:id",
      async ({ caller, params, body }) => {
        const { id } = await visibleUser(deps, caller, idOf(params));
        if (!caller.isSuperuser && hasRestricted(body)) {
          throw new DomainError(
            "forbidden",
            "Only a superuser may change flags, or a password without the current one.",
          );
        }
        refuseLosingOwnRights(caller, id, body);
        return userView(await changed(deps, id, { ...ownChange(body), ...(await restrictedChange(deps, body)) }));
      },
      {
        parse: jsonBody,
        params: idParams("user"),
        body: AccountChange,
        detail: operation({
          id: "update_user",
          tag: "users",
          summary: "Change a user",
          description: "A superuser cannot deactivate itself or give up being one: another superuser can do that.",
          answer: user,
          errors: ["forbidden", "not_found", "conflict"],
          takes: "body",
        }),
      },
    )
    .delete(
      "/:id",
      async ({ caller, params, set }) => {
        await remove(deps, caller, (await visibleUser(deps, caller, idOf(params))).id);
        set.status = 204;
      },
      {
        parse: "none",
        params: idParams("user"),
        detail: operation({
          id: "delete_user",
          tag: "users",
          summary: "Delete a user",
          description: deletion,
          answer: gone,
          errors: ["forbidden", "not_found"],
          takes: "parameters",
        }),
      },
    );
}

async function visibleUser(deps: ApiDeps, caller: User, id: UserId): Promise<User> {
  if (id === caller.id) return caller;
  const found = caller.isSuperuser ? await findUser(deps.db, id) : undefined;
  if (found === undefined) throw notFound("user");
  return found;
}

function hasRestricted(body: Static<typeof AccountChange>): boolean {
  return body.is_active !== undefined || body.is_superuser !== undefined || body.password !== undefined;
}

/** As with deletion: the last superuser could be brought back by SQL alone. */
function refuseLosingOwnRights(caller: User, id: UserId, body: Static<typeof AccountChange>): void {
  if (!caller.isSuperuser || id !== caller.id) return;
  if (body.is_superuser === false || body.is_active === false) {
    throw new DomainError("forbidden", "A superuser cannot deactivate itself or give up being one.");
  }
}

/** Members are named one by one: bodies hold whatever callers sent besides. */
function ownChange(body: Static<typeof OwnChange>): UserChange {
  return {
    ...(body.email === undefined ? {} : { email: body.email }),
    ...(body.full_name === undefined ? {} : { fullName: body.full_name }),
  };
}

async function restrictedChange(deps: ApiDeps, body: Static<typeof AccountChange>): Promise<UserChange> {
  return {
    ...(body.is_active === undefined ? {} : { isActive: body.is_active }),
    ...(body.is_superuser === undefined ? {} : { isSuperuser: body.is_superuser }),
    ...(body.password === undefined ? {} : { passwordHash: await deps.passwords.hash(body.password) }),
  };
}

async function changed(deps: UserDeps, id: UserId, change: UserChange): Promise<User> {
  const updated = await updateUser(deps.db, id, change);
  deps.callers.forget(id);
  if (updated === undefined) throw notFound("user");
  return updated;
}

async function remove(deps: UserDeps, caller: User, id: UserId): Promise<void> {
  if (caller.isSuperuser && id === caller.id) {
    throw new DomainError("forbidden", "A superuser cannot delete itself.");
  }
  const webhookIds = await deleteUser(deps.db, id);
  deps.callers.forget(id);
  if (webhookIds === undefined) throw notFound("user");
  for (const webhookId of webhookIds) deps.onWebhookChanged(webhookId);
}
