// Swagger UI at /docs, from our own files: it works without a network, under a policy that allows nothing else.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Elysia } from "elysia";
import { DOCUMENT_PATH, EXAMPLE_ORIGIN } from "./openapi.ts";

const FILES = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
} as const;

/** Swagger UI styles its elements inline and has its icons in data URLs. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Fairpost API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
    <link rel="icon" type="image/png" href="/docs/favicon-32x32.png" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `window.ui = SwaggerUIBundle({
  url: "${DOCUMENT_PATH}",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
});
`;

/** `document` makes the OpenAPI document; it is asked once. */
export function docsRoutes(document: () => Promise<string>) {
  let text: Promise<string> | undefined;
  const hidden = { detail: { hide: true } };
  const routes = new Elysia()
    .get("/docs", () => answer(PAGE, "text/html; charset=utf-8"), hidden)
    .get("/docs/start.js", () => answer(START, "text/javascript; charset=utf-8"), hidden)
    .get(
      DOCUMENT_PATH,
      async ({ request }) => {
        text ??= document();
        // There may be no host in it, or none that is valid.
        const origin = URL.parse(request.url)?.origin ?? EXAMPLE_ORIGIN;
        return answer((await text).replaceAll(EXAMPLE_ORIGIN, origin), "application/json");
      },
      hidden,
    );
  const folder = dirname(fileURLToPath(import.meta.resolve("swagger-ui-dist/package.json")));
  for (const [name, type] of Object.entries(FILES)) {
    routes.get(`/docs/${name}`, () => answer(Bun.file(join(folder, name)), type), hidden);
  }
  return routes;
}

function answer(body: string | Blob, type: string): Response {
  return new Response(body, { headers: { "content-type": type, "content-security-policy": POLICY } });
}
