import { hash128, id128ToHex } from "../../models/core/bytes.ts";
import type { ImportEvent } from "./types.ts";

/**
 * An event whose id is made from what it says, so that the same row read again is the same event.
 * Rows that are equal in every respect are one event.
 */
export function withIdentity(event: Omit<ImportEvent, "id">): ImportEvent {
  const { type, user, item, time, value } = event;
  const content = [type, user, item, time, value ?? ""].join("\u0000");
  return { id: `imported-${id128ToHex(hash128(content))}`, ...event };
}

/**
 * How a rating of 0.5-5 becomes events at its time: each is an impression; from 4 on also a click
 * and a finish (seen to the end and liked well enough), from 4.5 on a like as well.
 */
export function ratingEvents(rating: {
  user: string;
  item: string;
  time: number;
  value: number;
}): ImportEvent[] {
  const { user, item, time, value } = rating;
  const types = ["impression"];
  if (value >= 4) types.push("click", "finish");
  if (value >= 4.5) types.push("like");
  return types.map((type) => withIdentity({ type, user, item, time }));
}

export const ratingMapping =
  "every rating is an impression; from 4 on a click and a finish; from 4.5 on a like";

/** A number of a field, or NaN for an empty one or none. */
export function numberOf(text: string | undefined): number {
  return text === undefined || text.trim() === "" ? Number.NaN : Number(text);
}

/** RFC 3339 of the first moment of a year. */
export function startOfYear(year: number): string {
  return `${String(year).padStart(4, "0")}-01-01T00:00:00Z`;
}
