import { messageOf, RecError } from "../../models/core/errors.ts";
import { isRecord } from "../../models/core/schema.ts";
import type { EventsWritten, ImportDocument, ImportEvent, ImportSink } from "./types.ts";

/** Tries of a batch that was refused for load or lost on the way; ids make a repeat harmless. */
const tries = 8;

/** Writes an import to a running server. */
export function httpSink(options: { url: string; token?: string }): ImportSink {
  const url = options.url.replace(/\/+$/, "");
  const token = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const headers = { "content-type": "application/json", ...token };
  const post = (path: string, batch: readonly unknown[]) =>
    postAgain(url + path, { method: "POST", headers, body: JSON.stringify(batch) });
  return {
    items: async (batch: readonly ImportDocument[]) => void (await post("/v1/items", batch)),
    users: async (batch: readonly ImportDocument[]) => void (await post("/v1/users", batch)),
    events: async (batch: readonly ImportEvent[]) => written(await post("/v1/events", batch)),
  };
}

async function postAgain(url: string, init: RequestInit): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await fetch(url, init);
      if (response.ok) return await response.json();
      const text = (await response.text()).slice(0, 500);
      const message = `${url} answered ${response.status}: ${text}`;
      if (response.status < 500) throw new RecError("REC_IMPORT_REFUSED", message);
      throw new Error(message);
    } catch (cause) {
      if (cause instanceof RecError) throw cause;
      if (attempt >= tries) {
        throw new RecError("REC_IMPORT_SINK", messageOf(cause), { cause });
      }
      await Bun.sleep(Math.min(2_000, 50 * 2 ** attempt));
    }
  }
}

function written(answer: unknown): EventsWritten {
  const of = (name: string): unknown => (isRecord(answer) ? answer[name] : undefined);
  const [accepted, duplicates, rejected] = [of("accepted"), of("duplicates"), of("rejected")];
  if (Array.isArray(rejected) && rejected.length > 0) {
    const first = JSON.stringify(rejected[0]);
    const message = `the server refused ${rejected.length} events of a batch, first: ${first}`;
    throw new RecError("REC_IMPORT_REFUSED", message);
  }
  if (typeof accepted === "number" && typeof duplicates === "number") {
    return { accepted, duplicates };
  }
  throw new RecError("REC_IMPORT_SINK", "the answer to /v1/events counts nothing");
}
