import { expect, test } from "bun:test";
import { hash128 } from "../../models/core/bytes.ts";
import { Random } from "../../models/core/random.ts";
import { type NewSlate, Slates } from "./slates.ts";

const options = { rowsMax: 200_000, heads: 3, sentHeads: 1, eventPartitions: 2 };

function slateOf(number: number, items: number): NewSlate {
  return {
    requestId: hash128(`r${number}`),
    userRow: number % 50,
    servedMs: 1_000 + number,
    partition: number % 2,
    offset: number,
    items: Uint32Array.from({ length: items }, (_, i) => number * 100 + i),
    record: Uint8Array.of(number % 256),
    decidedMs: 0,
    eventsFrom: Float64Array.of(number, number + 1),
  };
}

/** Writes to every row of a slate what `check` expects. */
function write(slates: Slates, number: number): void {
  for (let place = 0; place < slates.counts[slates.entry(number)]; place++) {
    const row = slates.row(number, place);
    slates.labelsOf(row).fill(number + place);
    slates.sent[row] = number - place;
    slates.marks[row] = (number + place) % 256;
  }
}

function check(slates: Slates, number: number): void {
  const entry = slates.entry(number);
  const items = slates.counts[entry];
  const one = slateOf(number, items);
  expect(slates.byRequest(one.requestId)).toBe(number);
  expect(slates.servedMs[entry]).toBe(one.servedMs);
  expect(slates.offsets[entry]).toBe(number);
  expect(slates.partitions[entry]).toBe(one.partition);
  expect(slates.userRows[entry]).toBe(one.userRow);
  expect(slates.records[entry]).toEqual(one.record);
  expect(slates.eventsFrom(number, 1)).toBe(number + 1);
  for (let place = 0; place < items; place++) {
    const row = slates.row(number, place);
    expect(slates.placeOf(number, one.items[place] ?? -1)).toBe(place);
    expect([...slates.labelsOf(row)]).toEqual(Array(3).fill(number + place));
    expect(slates.sent[row]).toBe(number - place);
    expect(slates.marks[row]).toBe((number + place) % 256);
  }
}

test("slates stay what they are while the rings grow and turn", () => {
  const random = new Random(1);
  const slates = new Slates(options);
  let largest = 0;
  for (let number = 0; number < 6_000; number++) {
    const items = 1 + random.int(40);
    write(slates, slates.add(slateOf(number, items)));
    // Sometimes few are kept, later on many: the rings turn before they have to grow.
    const kept = number < 3_000 ? 100 : 2_500;
    while (slates.next - slates.oldest > kept) slates.drop();
    largest = Math.max(largest, slates.rowsUsed);
    if (number % 500 !== 499) continue;
    for (let old = slates.oldest; old < slates.next; old += 97) check(slates, old);
  }
  expect(largest).toBeGreaterThan(40_000);
  for (let number = slates.oldest; number < slates.next; number += 7) check(slates, number);
  const newest = { userRow: 49, itemRow: 584_900, timeMs: 1e9, receivedMs: 1e9 };
  expect(slates.ofUser(newest)).toBe(5_849);
});

test("the rings are as large as what is kept, not as what came through", () => {
  const slates = new Slates(options);
  const { sizeBytes } = slates;
  for (let number = 0; number < 20_000; number++) {
    slates.add(slateOf(number, 20));
    if (slates.next - slates.oldest > 50) slates.drop();
  }
  expect(slates.sizeBytes).toBe(sizeBytes);
  expect(sizeBytes).toBeLessThan(1 << 20);
  while (slates.hasRoomFor(20)) slates.add(slateOf(slates.next, 20));
  expect(slates.rowsUsed).toBe(options.rowsMax);
  expect(slates.sizeBytes).toBeGreaterThan(20 * options.rowsMax);
});
