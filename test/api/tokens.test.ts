import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { type Account, type ApiServer, JWT_SECRET, startApi } from "./api-server.ts";

let api: ApiServer;
let ada: Account;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
});
afterAll(() => api.stop());

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(header: { alg: string }, changes: object = {}, secret = JWT_SECRET): string {
  const claims = { sub: ada.id, ver: 0, iss: "fairpost", aud: "fairpost-api", exp: api.clock.now() / 1_000 + 600 };
  const signed = `${base64url({ typ: "JWT", ...header })}.${base64url({ ...claims, ...changes })}`;
  if (header.alg === "none") return `${signed}.`;
  const hash = header.alg === "HS512" ? "sha512" : "sha256";
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}

async function expectRefused(authorization: string) {
  const answer = await api.call("GET", "/users/me", undefined, { authorization });
  expect(answer.status).toBe(401);
  expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
}

describe("a token", () => {
  test("made by us is taken", async () => {
    const own = await api.withToken(token({ alg: "HS256" }))("GET", "/users/me");
    expect(own.status).toBe(200);
  });

  test.each([
    ["is missing", () => ""],
    ["is no token", () => "Bearer nonsense"],
    ["comes by another scheme", () => "Basic YTpi"],
    ["has the algorithm none", () => `Bearer ${token({ alg: "none" })}`],
    ["has the algorithm HS512", () => `Bearer ${token({ alg: "HS512" })}`],
    ["has another secret", () => `Bearer ${token({ alg: "HS256" }, {}, "another secret")}`],
    ["has expired", () => `Bearer ${token({ alg: "HS256" }, { exp: api.clock.now() / 1_000 - 1 })}`],
    ["never expires", () => `Bearer ${token({ alg: "HS256" }, { exp: undefined })}`],
    ["has no subject", () => `Bearer ${token({ alg: "HS256" }, { sub: undefined })}`],
    ["has a subject that is no id", () => `Bearer ${token({ alg: "HS256" }, { sub: "1 OR 1=1" })}`],
    ["is of nobody", () => `Bearer ${token({ alg: "HS256" }, { sub: Bun.randomUUIDv7() })}`],
    ["has another issuer", () => `Bearer ${token({ alg: "HS256" }, { iss: "else" })}`],
    ["has another audience", () => `Bearer ${token({ alg: "HS256" }, { aud: "else" })}`],
    ["has no version", () => `Bearer ${token({ alg: "HS256" }, { ver: undefined })}`],
  ])("that %s is refused", async (_, authorization) => expectRefused(authorization()));

  test("lives for 24 hours", async () => {
    const grace = await api.account();
    api.clock.advance(24 * 3_600_000 - 5_000);
    expect((await grace.call("GET", "/users/me")).status).toBe(200);
    api.clock.advance(6_000);
    expect((await grace.call("GET", "/users/me")).status).toBe(401);
  });

  test("ends with a password change, with the deletion and the deactivation of its user", async () => {
    const changed = await api.account();
    const passwords = { current_password: changed.password, new_password: "another password" };
    expect((await changed.call("PATCH", "/users/me/password", passwords)).status).toBe(204);
    expect((await changed.call("GET", "/users/me")).status).toBe(401);
    expect((await api.signIn(changed.email, "another password")).status).toBe(200);

    const deleted = await api.account();
    expect((await deleted.call("DELETE", "/users/me")).status).toBe(204);
    expect((await deleted.call("GET", "/users/me")).status).toBe(401);

    const inactive = await api.account();
    const root = await api.superuser();
    expect((await root.call("PATCH", `/users/${inactive.id}`, { is_active: false })).status).toBe(200);
    expect((await inactive.call("GET", "/users/me")).status).toBe(403);
    expect((await api.signIn(inactive.email, inactive.password)).status).toBe(400);
  });
});
