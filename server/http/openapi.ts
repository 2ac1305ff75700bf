import type { JsonSchema } from "../../models/core/schema.ts";
import type { Route } from "./router.ts";

/** The OpenAPI document of the routes, from the schemas that check them. */

const contentTypes = { json: "application/json", ndjson: "application/x-ndjson" } as const;

const errorSchema: JsonSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        path: { type: "string" },
      },
      required: ["code", "message"],
    },
  },
  required: ["error"],
};

function parametersOf(route: Route): JsonSchema[] {
  const inPath = /\{(\w+)\}/.exec(route.path)?.[1];
  const path = inPath === undefined ? [] : [{ name: inPath, in: "path", required: true }];
  const query = Object.entries(route.query?.fields ?? {}).map(([name, schema]) => ({
    ...{ name, in: "query", required: false },
    schema: schema.openApi,
  }));
  return [...path.map((one) => ({ ...one, schema: { type: "string" } })), ...query];
}

function operationOf(route: Route): JsonSchema {
  const content = Object.fromEntries(
    (route.body?.kinds ?? []).map((kind) => [contentTypes[kind], { schema: route.body?.schema }]),
  );
  return {
    summary: route.summary,
    parameters: parametersOf(route),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content } }),
    responses: {
      "200": { description: "The answer." },
      default: {
        description: "An error with its code and, where there is one, the place of the fault.",
        content: { "application/json": { schema: errorSchema } },
      },
    },
    security: route.open ? [] : [{ token: [] }],
  };
}

export function openApiDocument(routes: readonly Route[]): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    paths[route.path] = operations;
    operations[route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    info: { title: "RecMaster", version: "1" },
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
  };
}
