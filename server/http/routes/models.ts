import { readParameterAs } from "../checks.ts";
import { jsonAnswer } from "../errors.ts";
import type { Models } from "../ports.ts";
import type { Route } from "../router.ts";
import { versionParameter } from "../schemas.ts";

/** Model versions: what there is, and which one serves. */
export function modelRoutes(models: Models): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/models",
      name: "models",
      work: "free",
      summary: "Manifests of the model versions with their progressive metrics.",
      handle: async () => jsonAnswer(await models.list()),
    },
    {
      method: "POST",
      path: "/v1/models/rollback",
      name: "models",
      work: "free",
      summary: "Serves the version before the current one again.",
      handle: async () => jsonAnswer(await models.rollback()),
    },
    {
      method: "POST",
      path: "/v1/models/{version}/promote",
      name: "models",
      work: "free",
      summary: "Serves this version.",
      handle: async (call) =>
        jsonAnswer(await models.promote(readParameterAs(call, versionParameter))),
    },
  ];
}
