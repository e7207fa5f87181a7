// The operations of an OpenAPI document, for tests that walk all of them.

type Content = Record<string, { example?: Record<string, unknown>; schema?: { properties?: Record<string, object> } }>;

export type Operation = {
  method: string;
  path: string;
  operation: {
    operationId: string;
    summary: string;
    tags: string[];
    parameters?: { name: string; in: "query" | "path" }[];
    requestBody?: { content: Content; required: boolean };
    responses: Record<string, { content?: Content }>;
  };
};

type Document = { paths: Record<string, Record<string, Operation["operation"]>> };

export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}
