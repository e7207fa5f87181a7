// What callers may say of an account.

import { Type } from "@sinclair/typebox";
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN } from "../domain/limits.ts";
import { email, fields, text, textOrNull } from "./fields.ts";

const password = () => text(PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX);
const fullName = () => textOrNull(255);

const account = { email: email(), password: password(), full_name: Type.Optional(fullName()) };
const flags = { is_active: Type.Optional(Type.Boolean()), is_superuser: Type.Optional(Type.Boolean()) };
const example = { email: "grace@example.com", password: "a long enough password", full_name: "Grace Hopper" };

export const NewAccount = fields({ ...account, ...flags }, { example });
export const SignUp = fields(account, { example });
export const AccountChange = fields(
  { ...Type.Partial(fields(account)).properties, ...flags },
  { example: { full_name: "Grace Brewster Hopper" } },
);
export const OwnChange = fields(
  { email: Type.Optional(email()), full_name: Type.Optional(fullName()) },
  { example: { full_name: "Grace Brewster Hopper" } },
);
export const NewPassword = fields(
  { current_password: Type.String({ maxLength: 1_024 }), new_password: password() },
  { example: { current_password: "a long enough password", new_password: "an even longer password" } },
);
