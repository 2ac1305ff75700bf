import { RecError } from "../../../models/core/errors.ts";
import { array, type Schema } from "../../../models/core/schema.ts";
import { limits } from "../../../models/limits.ts";
import {
  itemDocument,
  itemElement,
  userDocument,
  userElement,
} from "../../ingest/document-schemas.ts";
import { readBodyAs, readListAs, readParameterAs } from "../checks.ts";
import { jsonAnswer } from "../errors.ts";
import type { DocumentKindName, DocumentPut, Documents } from "../ports.ts";
import type { Call, Route } from "../router.ts";
import { idParameter } from "../schemas.ts";

/** Item and user documents: put, get, delete, and in batches. */

type Document = DocumentPut["document"];
type BatchElement = { readonly id: string } & Document;

interface KindOptions {
  readonly kind: DocumentKindName;
  readonly one: Schema<Document>;
  readonly element: Schema<BatchElement>;
  readonly documents: Documents;
}

/** The stored text with its id in front. */
function withId(id: string, json: string): string {
  return `{"id":${JSON.stringify(id)}${json === "{}" ? "" : ","}${json.slice(1)}`;
}

async function stored({ kind, documents }: KindOptions, id: string): Promise<string> {
  const json = await documents.get(kind, id);
  if (json !== null) return withId(id, json);
  const code = kind === "item" ? "REC_ITEM_UNKNOWN" : "REC_USER_UNKNOWN";
  throw new RecError(code, `there is no document of this ${kind}`, { path: "path" });
}

function oneRoutes(options: KindOptions): Route[] {
  const { kind, one, documents } = options;
  const common = { path: `/v1/${kind}s/{id}`, name: "documents", work: "write" } as const;
  const idOf = (call: Call) => readParameterAs(call, idParameter);
  const body = {
    kinds: ["json"] as const,
    bytesMax: limits.bodyBytesMax,
    schema: one.openApi,
  };
  return [
    {
      ...common,
      method: "PUT",
      summary: `Stores the document of this ${kind}; answers with it.`,
      body,
      async handle(call) {
        const id = idOf(call);
        await documents.put(kind, [{ id, document: readBodyAs(call, one) }]);
        return jsonAnswer(await stored(options, id));
      },
    },
    {
      ...common,
      method: "GET",
      summary: `The stored document of this ${kind}.`,
      handle: async (call) => jsonAnswer(await stored(options, idOf(call))),
    },
    {
      ...common,
      method: "DELETE",
      summary: `Removes the document of this ${kind}.`,
      async handle(call) {
        const id = idOf(call);
        if (await documents.remove(kind, id)) return new Response(null, { status: 204 });
        return jsonAnswer(await stored(options, id));
      },
    },
  ];
}

function batchRoute({ kind, element, documents }: KindOptions): Route {
  const max = limits.batchItemsMax;
  return {
    method: "POST",
    path: `/v1/${kind}s`,
    name: "documents",
    work: "write",
    summary: `Stores a batch of ${kind} documents: all of them, or none if one is refused.`,
    body: {
      kinds: ["json"],
      bytesMax: limits.bodyBytesMax,
      schema: array(element, { max }).openApi,
    },
    async handle(call) {
      const list = await readListAs(call, { element, max });
      const puts = list.map(({ id, ...document }) => ({ id, document }));
      await documents.put(kind, puts);
      return jsonAnswer(JSON.stringify({ stored: puts.length }));
    },
  };
}

export function documentRoutes(documents: Documents): Route[] {
  const kinds: readonly KindOptions[] = [
    { kind: "item", one: itemDocument, element: itemElement, documents },
    { kind: "user", one: userDocument, element: userElement, documents },
  ];
  return kinds.flatMap((options) => [batchRoute(options), ...oneRoutes(options)]);
}
