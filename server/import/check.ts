import { Fault } from "../../models/core/schema.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { itemBatch, userBatch } from "../ingest/document-schemas.ts";
import { createEventCheck, earliestMs } from "../ingest/validate.ts";
import type { Entity, Faults } from "./types.ts";

export type EntityCheck = (entity: Entity, faults: Faults) => void;

/** The door's own checks, so that what passes here is not refused there. */
export function createEntityCheck(definition: RecommenderDefinition, nowMs: number): EntityCheck {
  const checkEvent = createEventCheck(definition.interactions);
  return (entity, faults) => {
    const { place } = entity;
    if (entity.kind !== "event") {
      const batch = entity.kind === "item" ? itemBatch : userBatch;
      const read = batch.read([entity.value]);
      if (read instanceof Fault)
        faults.add(place, read.path.replace(/^\[0\]\.?/, ""), read.message);
      return;
    }
    if (entity.value.time < earliestMs) {
      faults.add(place, "time", "is before 1990: are these seconds, not milliseconds?");
      return;
    }
    const result = checkEvent(entity.value, nowMs);
    if (!("refusal" in result)) return;
    faults.add(place, result.refusal.path ?? "event", result.refusal.message);
  };
}
