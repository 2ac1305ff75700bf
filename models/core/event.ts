import { type Id128, noRow, readId128, text, utf8, viewOf, writeId128 } from "./bytes.ts";

/**
 * An interaction as the event log holds it. Rows stand beside the ids: the log alone is enough to
 * rebuild the id tables, and a reader that needs only rows decodes no text.
 *
 * Layout, little endian: u8 version, u8 type, u16 categories, u32 userRow, u32 itemRow, f32 value,
 * f64 timeMs, f64 receivedMs, 16 B id hash, 16 B request id, u16 user bytes, u16 item bytes,
 * u32 zero; then the user id, the item id, and a u32 row for each category.
 */
export interface EventRecord {
  /** Index into the definition's interactions. */
  readonly type: number;
  readonly userRow: number;
  readonly itemRow: number;
  readonly user: string;
  readonly item: string;
  /** Event time, epoch milliseconds. */
  readonly timeMs: number;
  /** When the server accepted it; equal to `timeMs` for imported history. */
  readonly receivedMs: number;
  /** Watch seconds or an amount; 0 where the type has none. */
  readonly value: number;
  readonly id: Id128;
  /** Zero where the client sent none. */
  readonly requestId: Id128;
  /**
   * Rows of the item's categories when the event was accepted: a replay counts for the same
   * categories, whatever the item's document says by then. Default: none.
   */
  readonly categories?: ArrayLike<number>;
}

const version = 1;
export const eventHeaderBytes = 72;

export const eventAt = {
  type: 1,
  categories: 2,
  userRow: 4,
  itemRow: 8,
  value: 12,
  timeMs: 16,
  receivedMs: 24,
  id: 32,
  requestId: 48,
  userBytes: 64,
  itemBytes: 66,
} as const;

export function encodeEvent(event: EventRecord): Uint8Array {
  const user = utf8(event.user);
  const item = utf8(event.item);
  const categories = event.categories ?? [];
  const textEnd = eventHeaderBytes + user.length + item.length;
  const bytes = new Uint8Array(textEnd + 4 * categories.length);
  const view = viewOf(bytes);
  view.setUint8(0, version);
  view.setUint8(eventAt.type, event.type);
  writeEventCategories(view, 0, textEnd, categories);
  view.setUint32(eventAt.userRow, event.userRow, true);
  view.setUint32(eventAt.itemRow, event.itemRow, true);
  view.setFloat32(eventAt.value, event.value, true);
  view.setFloat64(eventAt.timeMs, event.timeMs, true);
  view.setFloat64(eventAt.receivedMs, event.receivedMs, true);
  writeId128(view, eventAt.id, event.id);
  writeId128(view, eventAt.requestId, event.requestId);
  view.setUint16(eventAt.userBytes, user.length, true);
  view.setUint16(eventAt.itemBytes, item.length, true);
  bytes.set(user, eventHeaderBytes);
  bytes.set(item, eventHeaderBytes + user.length);
  return bytes;
}

/** Writes the category rows of the event at `at`, which stand from `from` on; returns their end. */
export function writeEventCategories(
  view: DataView,
  at: number,
  from: number,
  categories: ArrayLike<number>,
): number {
  view.setUint16(at + eventAt.categories, categories.length, true);
  for (let i = 0; i < categories.length; i++) view.setUint32(from + 4 * i, categories[i]!, true);
  return from + 4 * categories.length;
}

/** Category rows of the event at `at` into `out`, as many as fit; returns how many. */
export function readEventCategories(view: DataView, at: number, out: Int32Array): number {
  const count = Math.min(view.getUint16(at + eventAt.categories, true), out.length);
  if (count === 0) return 0;
  const userBytes = view.getUint16(at + eventAt.userBytes, true);
  const itemBytes = view.getUint16(at + eventAt.itemBytes, true);
  const from = at + eventHeaderBytes + userBytes + itemBytes;
  for (let i = 0; i < count; i++) out[i] = view.getUint32(from + 4 * i, true);
  return count;
}

export function decodeEvent(bytes: Uint8Array): EventRecord {
  const view = viewOf(bytes);
  const itemFrom = eventHeaderBytes + view.getUint16(eventAt.userBytes, true);
  const categories = new Int32Array(view.getUint16(eventAt.categories, true));
  readEventCategories(view, 0, categories);
  return {
    type: view.getUint8(eventAt.type),
    userRow: view.getUint32(eventAt.userRow, true),
    itemRow: view.getUint32(eventAt.itemRow, true),
    value: view.getFloat32(eventAt.value, true),
    timeMs: view.getFloat64(eventAt.timeMs, true),
    receivedMs: view.getFloat64(eventAt.receivedMs, true),
    id: readId128(view, eventAt.id),
    requestId: readId128(view, eventAt.requestId),
    user: text(bytes.subarray(eventHeaderBytes, itemFrom)),
    item: text(bytes.subarray(itemFrom, itemFrom + view.getUint16(eventAt.itemBytes, true))),
    categories,
  };
}

/** A change of an item's or a user's document, topic `items`. Layout: header, id, JSON. */
export interface DocumentRecord {
  readonly kind: "item" | "user";
  readonly operation: "put" | "delete";
  readonly row: number;
  readonly timeMs: number;
  readonly id: string;
  /** The stored document as JSON text; empty for a delete. */
  readonly json: string;
}

const documentHeaderBytes = 24;

export function encodeDocument(record: DocumentRecord): Uint8Array {
  const id = utf8(record.id);
  const json = utf8(record.json);
  const bytes = new Uint8Array(documentHeaderBytes + id.length + json.length);
  const view = viewOf(bytes);
  view.setUint8(0, version);
  view.setUint8(1, record.kind === "item" ? 0 : 1);
  view.setUint8(2, record.operation === "put" ? 0 : 1);
  view.setUint32(4, record.row, true);
  view.setFloat64(8, record.timeMs, true);
  view.setUint16(16, id.length, true);
  view.setUint32(20, json.length, true);
  bytes.set(id, documentHeaderBytes);
  bytes.set(json, documentHeaderBytes + id.length);
  return bytes;
}

export function decodeDocument(bytes: Uint8Array): DocumentRecord {
  const view = viewOf(bytes);
  const jsonFrom = documentHeaderBytes + view.getUint16(16, true);
  return {
    kind: view.getUint8(1) === 0 ? "item" : "user",
    operation: view.getUint8(2) === 0 ? "put" : "delete",
    row: view.getUint32(4, true),
    timeMs: view.getFloat64(8, true),
    id: text(bytes.subarray(documentHeaderBytes, jsonFrom)),
    json: text(bytes.subarray(jsonFrom, jsonFrom + view.getUint32(20, true))),
  };
}

export function hasRow(row: number): boolean {
  return row !== noRow;
}
