import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type Account, type ApiServer, startApi } from "./api-server.ts";
import { type Operation, operationsOf } from "./operations.ts";

let api: ApiServer;
let ada: Account;
let operations: Operation[];
// oxlint-disable-next-line typescript/no-explicit-any -- a document to be looked into
let document: any;

beforeAll(async () => {
  api = await startApi();
  ada = await api.account();
  document = (await api.call("GET", "//docs/json")).json;
  operations = operationsOf(document);
});
afterAll(() => api.stop());

describe("/docs/json", () => {
  test("is valid OpenAPI 3.0", async () => {
    const validator = new Validator();
    const result = await validator.validate(document);
    expect(result.errors).toBeUndefined();
    expect([result.valid, validator.version, document.openapi]).toEqual([true, "3.0", "3.0.3"]);
    expect(JSON.stringify(document)).not.toContain('"x-');
  });

  test("lists every route of the contract", () => {
    const listed = operations.map(({ method, path }) => `${method} ${path.replace("/api/v1", "")}`).toSorted();
    expect(listed).toMatchInlineSnapshot(`
      [
        "DELETE /subscribers/{id}",
        "DELETE /users/me",
        "DELETE /users/{id}",
        "DELETE /webhooks/{id}",
        "GET /deliveries",
        "GET /deliveries/{id}",
        "GET /event-types",
        "GET /events",
        "GET /events/{id}",
        "GET /health",
        "GET /metrics",
        "GET /ready",
        "GET /subscribers",
        "GET /subscribers/{id}",
        "GET /users/",
        "GET /users/me",
        "GET /users/{id}",
        "GET /webhooks",
        "GET /webhooks/{id}",
        "GET /webhooks/{id}/secret",
        "PATCH /subscribers/{id}",
        "PATCH /users/me",
        "PATCH /users/me/password",
        "PATCH /users/{id}",
        "PATCH /webhooks/{id}",
        "POST /deliveries/{id}/retry",
        "POST /events",
        "POST /login/access-token",
        "POST /login/test-token",
        "POST /subscribers",
        "POST /subscribers/batch",
        "POST /users/",
        "POST /users/signup",
        "POST /webhooks",
        "POST /webhooks/test",
        "POST /webhooks/{id}/recover",
        "POST /webhooks/{id}/rotate-secret",
        "POST /webhooks/{id}/test",
      ]
    `);
  });

  test("says of every operation what it is and may answer", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { operation, path } of operations) {
      expect(operation.summary).toBeString();
      expect(operation.tags).toHaveLength(1);
      const statuses = Object.keys(operation.responses);
      expect(statuses.filter((status) => status.startsWith("2"))).toHaveLength(1);
      if (path.startsWith("/api")) expect(statuses).toContain("503");
      for (const response of Object.values(operation.responses)) {
        expect(Object.keys(response.content ?? {}).length).toBeLessThan(2);
      }
      if (operation.requestBody === undefined) continue;
      const contents = Object.values(operation.requestBody.content);
      expect(contents).toHaveLength(1);
      expect(contents[0]?.example).toBeDefined();
      expect(operation.requestBody.required).toBe(!["recover_webhook", "echo"].includes(operation.operationId));
    }
  });

  test("has examples that can be sent as they stand", async () => {
    const examples = Object.fromEntries(
      operations.map(({ operation }) => [
        operation.operationId,
        Object.values(operation.requestBody?.content ?? {})[0]?.example,
      ]),
    );
    const created = await api.call("POST", "/users/", examples["create_user"]);
    expect(created.status).toBe(201);
    const form = new URLSearchParams(examples["sign_in"] as Record<string, string>).toString();
    expect((await api.call("POST", "/login/access-token", form)).status).toBe(200);
    const webhook = await ada.call("POST", "/webhooks", examples["create_webhook"]);
    expect(webhook.status).toBe(201);
    expect(webhook.json.url).toBe(`${api.url}/api/v1/webhooks/test`);
    const subscriber = await ada.call("POST", "/subscribers", examples["create_subscriber"]);
    expect(subscriber.status).toBe(201);
    const statuses = await Promise.all([
      ada.call("POST", "/events", examples["publish_event"]),
      ada.call("POST", "/webhooks/test", examples["echo"]),
      ada.call("PATCH", `/webhooks/${webhook.json.id}`, examples["update_webhook"]),
      ada.call("PATCH", `/subscribers/${subscriber.json.id}`, examples["update_subscriber"]),
      ada.call("PATCH", "/users/me", examples["update_me"]),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([202, 200, 200, 200, 200]);
  });
});

describe("/docs", () => {
  test("comes from here alone", async () => {
    const page = await api.call("GET", "//docs");
    expect(page.headers.get("content-security-policy")).toStartWith("default-src 'self';");
    expect(page.text).not.toContain("//unpkg");
    for (const [, path] of page.text.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      const file = await api.call("GET", `/${path}`);
      expect([file.status, file.text.length > 100]).toEqual([200, true]);
    }
  });

  test("is the only page: that of the plugin would load what others wrote", async () => {
    for (const path of ["//docs/plugin", "//docs/plugin/json"]) expect((await api.call("GET", path)).status).toBe(404);
  });

  test("knows its origin, and does without", async () => {
    const seen = async (host: string) => (await api.call("GET", "//docs/json", undefined, { host })).text;
    expect(await seen("hooks.example:81")).toContain("http://hooks.example:81/");
    expect(await seen("a b")).toContain("http://127.0.0.1:8000/");
  });

  test("keeps the sign-in, and offers to try", async () => {
    const { text } = await api.call("GET", "//docs/start.js");
    expect(text).toContain("persistAuthorization: true");
    expect(text).toContain("tryItOutEnabled: true");
    const { flows } = document.components.securitySchemes.OAuth2PasswordBearer;
    expect(operations.map(({ path }) => path)).toContain(flows.password.tokenUrl);
  });
});
