// The HTTP API, put together. `listen` it, or call `handle` with a Request.

import { Elysia } from "elysia";
import { authPlugin } from "./auth.ts";
import { Callers } from "./callers.ts";
import { deliveryRoutes } from "./deliveries.ts";
import { docsRoutes } from "./docs.ts";
import { echoRoutes } from "./echo.ts";
import { eventTypeRoutes } from "./event-types.ts";
import { eventRoutes } from "./events.ts";
import { KnownPaths } from "./known-paths.ts";
import { loginRoutes, testTokenRoutes } from "./login.ts";
import { PLUGIN_DOCUMENT_PATH, swaggerPlugin, tidied } from "./openapi.ts";
import type { ApiDeps } from "./ports.ts";
import { registrationRoutes } from "./registration.ts";
import { requestPlugin } from "./requests.ts";
import { statusRoutes } from "./status.ts";
import { subscriberBatchRoutes } from "./subscriber-batch.ts";
import { subscriberRoutes } from "./subscribers.ts";
import { userRoutes } from "./users.ts";
import { webhookRoutes } from "./webhooks.ts";

/** Bun's own bound, past which it answers without a body. Ours is far below, and says so properly. */
const BUN_BODY_BYTES_MAX = 1024 * 1024 * 1024;
/**
 * For a connection on which nothing moves: an idle one, one whose body does not come. From the end of a body to the answer
 * Bun waits for as long as the handler works, and a batch may need longer than this.
 */
const IDLE_TIMEOUT_S = 60;

export function createApiApp(deps: ApiDeps) {
  const callers = new Callers(deps);
  const knownPaths = new KnownPaths();
  const auth = authPlugin(deps, callers);
  const v1 = new Elysia({ prefix: "/api/v1", normalize: false })
    .use(loginRoutes(deps))
    .use(testTokenRoutes(auth))
    .use(registrationRoutes(deps, callers))
    .use(userRoutes(deps, auth, callers))
    .use(echoRoutes())
    .use(webhookRoutes(deps, auth))
    .use(subscriberBatchRoutes(deps, auth))
    .use(subscriberRoutes(deps, auth))
    .use(eventRoutes(deps, auth))
    .use(eventTypeRoutes(auth))
    .use(deliveryRoutes(deps, auth));
  const app = new Elysia({
    normalize: false,
    serve: { maxRequestBodySize: BUN_BODY_BYTES_MAX, idleTimeout: IDLE_TIMEOUT_S },
  })
    .use(requestPlugin(deps, knownPaths))
    .use(statusRoutes(deps))
    .use(v1);
  // Its own page would load scripts of others from elsewhere: nobody can reach it.
  const documented = new Elysia().use(swaggerPlugin(deps.settings.version)).use(statusRoutes(deps)).use(v1);
  const document = async () => {
    const answer = await documented.handle(new Request(`http://localhost${PLUGIN_DOCUMENT_PATH}`));
    return JSON.stringify(tidied(await answer.json()));
  };
  const complete = app.use(docsRoutes(document));
  knownPaths.learn(complete.routes);
  return complete;
}
