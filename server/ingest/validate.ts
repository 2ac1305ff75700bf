import { Fault, number, object, optional } from "../../models/core/schema.ts";
import { id, oneOf, time } from "../../models/core/schema-text.ts";
import type { InteractionDefinition } from "../../models/definition/define.ts";
import { limits } from "../../models/limits.ts";

/** The checks of an event: shape by schema, then what needs the definition and the clock. */

/** Times before this are mistakes: seconds taken for milliseconds, zero dates. */
export const earliestMs = Date.UTC(1990, 0, 1);
/** The last time that any field may name; events are held to the clock as well. */
export const latestMs = Date.UTC(2100, 0, 1);
/** Watch seconds of one event; the largest amount, either way. */
const secondsMax = 86_400;
const amountMax = 1e12;

/** An event as a client sends it, checked. */
export interface CheckedEvent {
  readonly id: string | undefined;
  /** Index into the definition's interactions. */
  readonly type: number;
  readonly user: string;
  readonly item: string;
  /** Epoch ms; undefined where the client sent none. */
  readonly timeMs: number | undefined;
  readonly requestId: string | undefined;
  readonly value: number;
}

/** Why an event was refused; `path` is inside the event. */
export interface EventRefusal {
  readonly code: string;
  readonly message: string;
  readonly path?: string;
}

export type EventResult = { readonly event: CheckedEvent } | { readonly refusal: EventRefusal };

/** The schema of an event of these interactions. */
export function eventSchema(interactions: readonly InteractionDefinition[]) {
  return object({
    id: optional(id(limits.idBytesMax)),
    type: oneOf(interactions.map((interaction) => interaction.name)),
    user: id(limits.idBytesMax),
    item: id(limits.idBytesMax),
    time: optional(time({ min: earliestMs, max: latestMs })),
    requestId: optional(id(limits.idBytesMax)),
    value: optional(number({ min: -amountMax, max: amountMax })),
  });
}

export type EventCheck = (element: unknown, nowMs: number) => EventResult;

function refuse(code: string, message: string, path: string): EventResult {
  return { refusal: { code, message, path } };
}

/** Why `value` does not suit the interaction, or null. Watch seconds must be there. */
function valueRefusal(
  interaction: InteractionDefinition,
  value: number | undefined,
): EventResult | null {
  const { name } = interaction;
  if (interaction.value === "none" && value !== undefined) {
    return refuse("REC_EVENT_VALUE", `${name} takes no value`, "value");
  }
  if (interaction.value !== "seconds") return null;
  if (value !== undefined && value >= 0 && value <= secondsMax) return null;
  return refuse("REC_EVENT_VALUE", `${name} needs seconds, 0 to ${secondsMax}`, "value");
}

/** A check of one parsed element, the same for live events and imported history. */
export function createEventCheck(interactions: readonly InteractionDefinition[]): EventCheck {
  const schema = eventSchema(interactions);
  const codes = new Map(interactions.map((interaction, code) => [interaction.name, code]));
  return (element, nowMs) => {
    const read = schema.read(element);
    if (read instanceof Fault) return refuse(read.code, read.message, read.path);
    const type = codes.get(read.type) ?? 0;
    const refused = valueRefusal(interactions[type]!, read.value);
    if (refused !== null) return refused;
    if (read.time !== undefined && read.time > nowMs + limits.futureLeadMs) {
      return refuse("REC_EVENT_FUTURE", `is over ${limits.futureLeadMs} ms ahead`, "time");
    }
    const { id: given, user, item, time: timeMs, requestId, value = 0 } = read;
    return { event: { id: given, type, user, item, timeMs, requestId, value } };
  };
}
