import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Account, type ApiServer, startApi, SUPERUSER } from "./api-server.ts";

let api: ApiServer;
let root: Account;

beforeAll(async () => {
  api = await startApi();
  root = await api.superuser();
});
afterAll(() => api.stop());

const password = "a long enough password";

describe("registration", () => {
  test("answers 201 without the password, with and without the slash", async () => {
    for (const path of ["/users/", "/users", "/users/signup"]) {
      const email = `${Bun.randomUUIDv7()}@example.com`;
      const created = await api.call("POST", path, { email, password, full_name: "Ada", unknown: 1 });
      expect(created.status).toBe(201);
      expect(created.json).toMatchObject({ email, full_name: "Ada", is_active: true, is_superuser: false });
      expect(created.text).not.toContain("password");
      expect(created.json.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });

  test("knows an e-mail in every case, and frees it with its user", async () => {
    const ada = await api.account("Case@example.com");
    expect((await api.call("POST", "/users/", { email: "cASE@example.com", password })).status).toBe(409);
    expect((await api.signIn("case@EXAMPLE.com", ada.password)).status).toBe(200);
    await ada.call("DELETE", "/users/me");
    expect((await api.call("POST", "/users/", { email: "cASE@example.com", password })).status).toBe(201);
  });

  test("knows an e-mail in every case of every alphabet", async () => {
    const ada = await api.account("ÄDÈLE.Ж@example.com");
    expect((await api.call("POST", "/users/", { email: "ädèle.ж@example.com", password })).status).toBe(409);
    expect((await api.signIn("Ädèle.ж@example.com", ada.password)).status).toBe(200);
    expect((await ada.call("POST", "/subscribers", { email: "ä@x.io" })).status).toBe(201);
    expect((await ada.call("POST", "/subscribers", { email: "Ä@x.io" })).status).toBe(409);
  });

  test("gives flags to superusers only", async () => {
    const ada = await api.account();
    for (const flags of [{ is_superuser: true }, { is_active: false }]) {
      const user = () => ({ email: `${Bun.randomUUIDv7()}@example.com`, password, ...flags });
      expect((await api.call("POST", "/users/", user())).status).toBe(403);
      expect((await ada.call("POST", "/users/", user())).status).toBe(403);
      expect((await root.call("POST", "/users/", user())).json).toMatchObject(flags);
    }
  });

  test.each([
    [{ email: "no address", password }, "body.email"],
    [{ email: "a@b", password }, "body.email"],
    [{ email: "a@example.com", password: "short" }, "body.password"],
    [{ email: "a@example.com", password: "x".repeat(129) }, "body.password"],
    [{ email: "a@example.com" }, "body.password"],
    [{ email: "a\u0000@example.com", password }, "body.email"],
    [{ email: "a@example.com", password, is_active: "yes" }, "body.is_active"],
  ])("refuses %p", async (body, path) => {
    const answer = await api.call("POST", "/users/", body);
    expect(answer.status).toBe(422);
    expect(answer.json.errors[0].path).toBe(path);
  });

  test("can be closed to all but superusers", async () => {
    const settings = { jwtSecret: "x".repeat(40), registration: "closed", version: "0" } as const;
    const closed = await startApi({ settings });
    const user = { email: "new@example.com", password };
    expect((await closed.call("POST", "/users/", user)).status).toBe(403);
    expect((await closed.call("POST", "/users/signup", user)).status).toBe(403);
    expect((await (await closed.superuser()).call("POST", "/users/", user)).status).toBe(201);
    await closed.stop();
  });
});

describe("sign-in", () => {
  test("says no more than that it was wrong", async () => {
    const ada = await api.account();
    const wrong = await api.signIn(ada.email, "not this one");
    const unknown = await api.signIn("nobody@example.com", "not this one");
    expect(wrong.status).toBe(400);
    expect([unknown.status, unknown.text]).toEqual([wrong.status, wrong.text]);
  });

  test("is refused after ten wrong ones, and allowed again after 15 minutes", async () => {
    const ada = await api.account();
    for (let time = 0; time < 10; time += 1) expect((await api.signIn(ada.email, "wrong")).status).toBe(400);
    const refused = await api.signIn(ada.email.toUpperCase(), ada.password);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeWithin(800, 901);
    expect(api.logged.some(({ name }) => name === "sign_in.throttled")).toBe(true);
    api.clock.advance(15 * 60_000);
    expect((await api.signIn(ada.email, ada.password)).status).toBe(200);
  });

  test("counts wrong ones together, however the e-mail is written", async () => {
    const ada = await api.account("iiii@example.com");
    const spellings = ["iiii", "IIII", "İiii", "iİii", "iiİi", "iiiİ", "İİii", "İİİi", "İİİİ", "iiİİ"];
    for (const spelling of spellings) {
      expect((await api.signIn(`${spelling}@example.com`, "wrong")).status).toBe(400);
    }
    expect((await api.signIn(ada.email, ada.password)).status).toBe(429);
  });

  test("ignores what Swagger UI sends besides", async () => {
    const form = new URLSearchParams(`grant_type=%00&client_secret=%00&scope=&username=${SUPERUSER.email}`);
    form.set("password", SUPERUSER.password);
    const answer = await api.call("POST", "/login/access-token", form.toString(), { authorization: "Basic Og==" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.json.token_type).toBe("bearer");
    const whoami = await api.withToken(answer.json.access_token)("POST", "/login/test-token");
    expect(whoami.json.email).toBe(SUPERUSER.email);
  });

  test("takes a form in parts as well", async () => {
    const signIn = async (body: FormData | string, headers: Record<string, string> = {}) =>
      (await fetch(`${api.url}/api/v1/login/access-token`, { method: "POST", body, headers })).status;
    const form = new FormData();
    form.set("username", SUPERUSER.email);
    expect(await signIn(form)).toBe(422);
    form.set("password", SUPERUSER.password);
    expect(await signIn(form)).toBe(200);
    form.set("password", new Blob(["a file"]));
    expect(await signIn(form)).toBe(422);
    expect(await signIn("no form", { "content-type": "multipart/form-data; boundary=x" })).toBe(400);
  });
});

describe("managing accounts", () => {
  test("everyone sees themselves, a superuser everyone", async () => {
    const ada = await api.account();
    const own = await ada.call("GET", "/users/");
    expect(own.json).toMatchObject({ count: 1, data: [{ id: ada.id }] });
    const all = await root.call("GET", "/users?limit=2");
    expect(all.json.data).toHaveLength(2);
    expect(all.json.count).toBeGreaterThan(2);
  });

  test("one changes one's own fields, and no flags", async () => {
    const ada = await api.account();
    expect((await ada.call("PATCH", "/users/me", { full_name: "A", is_superuser: true })).json).toMatchObject({
      full_name: "A",
      is_superuser: false,
    });
    expect((await ada.call("PATCH", `/users/${ada.id}`, { is_superuser: true })).status).toBe(403);
    expect((await ada.call("PATCH", `/users/${ada.id}`, { full_name: null })).json.full_name).toBeNull();
    expect((await ada.call("PATCH", "/users/me", { email: SUPERUSER.email })).status).toBe(409);
  });

  test("a password needs the current one", async () => {
    const ada = await api.account();
    const change = { current_password: "not this", new_password: "a new password" };
    expect((await ada.call("PATCH", "/users/me/password", change)).status).toBe(400);
  });

  test("the current password is not found out by trying", async () => {
    const ada = await api.account();
    const wrong = { current_password: "not this", new_password: "a new password" };
    for (let nth = 1; nth <= 10; nth += 1) {
      expect((await ada.call("PATCH", "/users/me/password", wrong)).status).toBe(400);
    }
    const right = await ada.call("PATCH", "/users/me/password", { ...wrong, current_password: ada.password });
    expect([right.status, Number(right.headers.get("retry-after")) > 800]).toEqual([429, true]);
    expect((await ada.call("GET", "/users/me")).status).toBe(200);
  });

  test("a password that is changed by several at once is changed by one of them", async () => {
    const ada = await api.account();
    const passwords = ["first", "second", "third"].map((which) => `the ${which} new password`);
    const changes = passwords.map((new_password) => ({ current_password: ada.password, new_password }));
    const answers = await Promise.all(changes.map((change) => ada.call("PATCH", "/users/me/password", change)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([204, 401, 401]);
    const changed = passwords[answers.findIndex(({ status }) => status === 204)] ?? "";
    expect((await api.signIn(ada.email, changed)).status).toBe(200);
  });

  test("a superuser cannot delete itself", async () => {
    expect((await root.call("DELETE", "/users/me")).status).toBe(403);
    expect((await root.call("DELETE", `/users/${root.id}`)).status).toBe(403);
  });

  test("a superuser cannot deactivate itself or give up being one, and another superuser can do both to it", async () => {
    const { json: other } = await root.call("POST", "/users/", {
      email: "other@example.com",
      password,
      is_superuser: true,
    });
    const otherCall = api.withToken((await api.signIn(other.email, password)).json.access_token);
    for (const flags of [{ is_superuser: false }, { is_active: false }]) {
      const refused = await otherCall("PATCH", `/users/${other.id.toUpperCase()}`, { full_name: "Other", ...flags });
      expect(refused.status).toBe(403);
      expect(refused.json.detail).toContain("cannot deactivate itself or give up being one");
    }
    const kept = { full_name: "Other", is_superuser: true, is_active: true };
    expect((await otherCall("PATCH", `/users/${other.id}`, kept)).json).toMatchObject(kept);
    const lost = { is_superuser: false, is_active: false };
    expect((await root.call("PATCH", `/users/${other.id}`, lost)).json).toMatchObject(lost);
  });

  test("a deleted user's webhooks go with it", async () => {
    const ada = await api.account();
    const webhook = await ada.call("POST", "/webhooks", { url: "https://example.com/a", events: ["*"] });
    expect((await root.call("DELETE", `/users/${ada.id}`)).status).toBe(204);
    const rows = await api.db.sql`SELECT w.deleted_at, p.cancel_before FROM webhooks w
      JOIN endpoints p ON p.webhook_id = w.id WHERE w.id = ${webhook.json.id}`;
    expect(rows[0]?.["deleted_at"]).toBeDate();
    expect(rows[0]?.["cancel_before"]).toBeDate();
    expect(api.changedWebhooks).toContain(webhook.json.id);
  });
});
