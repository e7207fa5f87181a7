// A receiver to aim at: POST /webhooks/test answers with what it received. It keeps nothing, and needs no token.

import { Elysia } from "elysia";
import { readText } from "./body.ts";
import { operation } from "./operation.ts";

/** Headers that would hand a caller's credentials to whoever reads the answer. */
const WITHHELD = new Set(["authorization", "cookie"]);

export function echoRoutes() {
  return new Elysia({ prefix: "/webhooks" }).post(
    "/test",
    async ({ request, body }) => {
      const headers = [...request.headers].filter(([name]) => !WITHHELD.has(name));
      return { method: request.method, headers: Object.fromEntries(headers), body: body as string };
    },
    {
      parse: ({ request }) => readText(request),
      detail: {
        ...operation({
          id: "echo",
          tag: "webhooks",
          summary: "Echo a request",
          description: "A receiver for first tries: answers with method, headers and body of what it received.",
          answer: {
            status: 200,
            description: "What was received",
            schema: {
              type: "object",
              required: ["method", "headers", "body"],
              properties: {
                method: { type: "string" },
                headers: { type: "object", additionalProperties: { type: "string" } },
                body: { type: "string" },
              },
            },
          },
          takes: "body",
          access: "public",
        }),
        requestBody: {
          content: { "application/json": { schema: { type: "object" }, example: { type: "order.paid", data: {} } } },
        },
      },
    },
  );
}
