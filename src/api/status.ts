// Is it alive, is it ready, how is it doing: for those who operate it.

import { Elysia } from "elysia";
import { DomainError } from "../domain/error.ts";
import { operation } from "./operation.ts";
import type { ApiDeps } from "./ports.ts";

const statusSchema = { type: "object", required: ["status"], properties: { status: { type: "string" } } };
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function statusRoutes(deps: ApiDeps) {
  const { readiness, settings } = deps;
  return new Elysia()
    .get("/health", () => ({ status: "ok", version: settings.version }), {
      detail: operation({
        id: "get_health",
        tag: "status",
        summary: "Is the process alive?",
        answer: { status: 200, description: "It is", schema: statusSchema },
        access: "public",
      }),
    })
    .get(
      "/ready",
      async () => {
        const [hasPostgres, hasNats] = await Promise.all([readiness.postgres(), readiness.nats()]);
        const missing = [hasPostgres ? [] : ["Postgres"], hasNats ? [] : ["NATS"]].flat();
        if (missing.length > 0) throw new DomainError("unavailable", `No answer from ${missing.join(" and ")}.`);
        return { status: "ready" };
      },
      {
        detail: operation({
          id: "get_readiness",
          tag: "status",
          summary: "Do Postgres and NATS answer?",
          answer: { status: 200, description: "They do", schema: statusSchema },
          errors: ["unavailable"],
          access: "public",
        }),
      },
    )
    .get("/metrics", async () => new Response(await deps.metrics(), { headers: { "content-type": METRICS_TYPE } }), {
      detail: operation({
        id: "get_metrics",
        tag: "status",
        summary: "Metrics for Prometheus",
        answer: { status: 200, description: "Text", schema: { type: "string" }, contentType: "text/plain" },
        access: "public",
      }),
    });
}
