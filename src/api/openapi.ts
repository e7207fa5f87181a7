// The OpenAPI 3.0.3 document. @elysiajs/swagger gathers the routes; what it leaves of TypeBox in their schemas (nulls in
// unions, pattern properties, our own x- members, several content types for one body) is put right here.

import { swagger } from "@elysiajs/swagger";
import { MODELS } from "./models.ts";

export const DOCUMENT_PATH = "/docs/json";
/** Stands in examples for the origin at which the document is read, so that they can be sent as they are. */
export const EXAMPLE_ORIGIN = "http://127.0.0.1:8000";
const PLUGIN_PATH = "/docs/plugin";
export const PLUGIN_DOCUMENT_PATH = "/docs/plugin/json";

const TAGS = [
  { name: "login", description: "Sign in with e-mail and password." },
  { name: "users", description: "Accounts." },
  { name: "webhooks", description: "URLs, and the events that they want." },
  { name: "subscribers", description: "Contacts on a mailing list." },
  { name: "events", description: "What happened." },
  { name: "deliveries", description: "What became of each event at each webhook." },
  { name: "status", description: "For those who operate it." },
];

export function swaggerPlugin(version: string) {
  return swagger({
    path: PLUGIN_PATH,
    specPath: PLUGIN_DOCUMENT_PATH,
    exclude: [/^\/docs/],
    documentation: {
      info: { title: "Fairpost", version, description: "Webhook delivery that is fair to every account." },
      tags: TAGS,
      security: [{ OAuth2PasswordBearer: [] }],
      components: {
        securitySchemes: {
          OAuth2PasswordBearer: {
            type: "oauth2",
            flows: { password: { tokenUrl: "/api/v1/login/access-token", scopes: {} } },
          },
        },
      },
    },
  });
}

/** Operations that do without a body: the plugin takes every body for required. */
const OPTIONAL_BODIES = ["recover_webhook"];

type Node = { [key: string]: unknown };

/** The plugin's document as valid OpenAPI 3.0.3. */
export function tidied(document: unknown): Node {
  const root = JSON.parse(JSON.stringify(document)) as Node;
  const components = node(root["components"]);
  return {
    ...root,
    paths: mapped(root["paths"], (path) => mapped(path, (operation) => tidyOperation(node(operation)))),
    components: { ...components, schemas: MODELS },
  };
}

function tidyOperation(operation: Node): Node {
  const { parameters, requestBody, ...rest } = operation;
  return {
    ...rest,
    ...(Array.isArray(parameters) && parameters.length > 0
      ? { parameters: parameters.map((parameter) => tidyParameter(node(parameter))) }
      : {}),
    ...(requestBody === undefined ? {} : { requestBody: tidyBody(node(requestBody), operation["operationId"]) }),
  };
}

function tidyParameter({ name, in: place, required, description, schema }: Node): Node {
  const { description: documented, ...tidySchema } = tidyDocs(node(schema));
  const text = documented ?? description;
  return { name, in: place, required, ...(text === undefined ? {} : { description: text }), schema: tidySchema };
}

/** The form of the sign-in; JSON everywhere else. The example moves to where "Try it out" takes it from. */
function tidyBody(body: Node, operationId: unknown): Node {
  const [first] = Object.values(node(body["content"]));
  const { schema, example } = node(first);
  const { example: ofSchema, ...tidySchema } = tidyDocs(node(schema));
  const content = { schema: tidySchema, example: example ?? ofSchema };
  const type = operationId === "sign_in" ? "application/x-www-form-urlencoded" : "application/json";
  // Swagger UI fills a form from the examples of its fields.
  if (operationId === "sign_in") content.schema = withExamples(tidySchema, node(content.example));
  const isOptional = OPTIONAL_BODIES.includes(String(operationId));
  return { required: !isOptional && (body["required"] ?? false), content: { [type]: content } };
}

function withExamples(schema: Node, example: Node): Node {
  const properties = mapped(schema["properties"], (property, name) => ({ ...node(property), example: example[name] }));
  return { ...schema, properties };
}

function tidyDocs(schema: Node): Node {
  if ("x-docs" in schema) return tidyDocs(node(schema["x-docs"]));
  const { anyOf, patternProperties, additionalProperties: _a, properties, items, ...more } = schema;
  const { "x-message": _m, "x-format": format, ...rest } = more;
  if (Array.isArray(anyOf)) return { ...rest, ...tidyUnion(anyOf.map(node)) };
  if (patternProperties !== undefined) {
    const [values] = Object.values(node(patternProperties));
    return { ...rest, additionalProperties: tidyDocs(node(values)) };
  }
  return {
    ...rest,
    // TypeBox refuses formats that it does not know.
    ...(format === undefined ? {} : { format }),
    ...(properties === undefined ? {} : { properties: mapped(properties, (property) => tidyDocs(node(property))) }),
    ...(items === undefined ? {} : { items: tidyDocs(node(items)) }),
  };
}

/** The only unions in requests are those with null. */
function tidyUnion(branches: Node[]): Node {
  const [other, ...more] = branches.filter((branch) => branch["type"] !== "null");
  if (other === undefined || more.length > 0) throw new Error("only unions with null can be documented");
  return { ...tidyDocs(other), nullable: true };
}

function mapped(value: unknown, map: (item: unknown, key: string) => unknown): Node {
  return Object.fromEntries(Object.entries(node(value)).map(([key, item]) => [key, map(item, key)]));
}

function node(value: unknown): Node {
  return typeof value === "object" && value !== null ? (value as Node) : {};
}
