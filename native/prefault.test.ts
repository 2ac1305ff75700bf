import { expect, test } from "bun:test";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { IdTable } from "./id-table.ts";
import { PaneTable } from "./pane-table.ts";
import { Prefault } from "./prefault.ts";

const rows = 400_000;
const counters = 6;
const windows = [{ paneMs: 60_000, panes: 10 }];

function tableOf(fullRows = rows): PaneTable {
  return PaneTable.create({ rows, counters, windows, fullRows });
}

const [major = 0, minor = 0] = release().split(".").map(Number);
/** Older kernels cannot be asked for memory ahead: Linux 5.14 it takes. */
const testOfMemory = test.skipIf(major < 5 || (major === 5 && minor < 14));

/** Every seventh row has more panes than fit into a slot. */
function fill(table: PaneTable): void {
  const list: { row: number; timeMs: number }[] = [];
  for (let row = 0; row < rows; row += 97) {
    const panes = row % 7 === 0 ? 12 : 2;
    for (let pane = 0; pane < panes; pane++) list.push({ row, timeMs: pane * 60_000 });
  }
  const count = list.length;
  table.apply(
    {
      rows: Uint32Array.from(list, ({ row }) => row),
      counters: Uint8Array.from(list, ({ row }) => row % counters),
      deltas: new Uint32Array(count).fill(1),
      times: Float64Array.from(list, ({ timeMs }) => timeMs),
      offsets: new Float64Array(count).fill(-1),
      ...{ count, watermarkMs: Number.NEGATIVE_INFINITY },
    },
    new Uint32Array(windows.length),
  );
}

function saved(table: PaneTable): Uint8Array {
  const pieces: Uint8Array[] = [];
  const out = new Uint8Array(1_000 * table.rowBytes);
  for (let first = 0; first < rows; first += 1_000) {
    pieces.push(out.slice(0, table.save(first, 1_000, out)));
  }
  return Buffer.concat(pieces);
}

// In a process of its own: where other tests ran, a collector gives more back than comes.
testOfMemory(
  "memory of rows that are expected comes without a write, and no more of it",
  async () => {
    const fixture = fileURLToPath(new URL("./prefault.fixture.ts", import.meta.url));
    const child = Bun.spawn([process.execPath, fixture], { stdout: "pipe" });
    const { panesMb, idsMb, fullRowsUsed } = JSON.parse(await new Response(child.stdout).text());
    expect(panesMb).toBeGreaterThan(160);
    expect(panesMb).toBeLessThan(220);
    expect(idsMb).toBeGreaterThan(75);
    expect(idsMb).toBeLessThan(120);
    expect(fullRowsUsed).toBe(0);
  },
);

test("a table of ids gets room for those that are expected, unless it has some", () => {
  const ids = 30_000;
  const pairs = IdTable.create({ capacity: 2 * ids, bytesMax: 0 });
  new Prefault([{ table: pairs, rows: ids }]).stop();
  const list = Uint32Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? i : 7));
  pairs.loadPairs(0, list, ids);
  new Prefault([{ table: pairs, rows: ids }]).stop();
  const out = new Uint32Array(20_000);
  pairs.pairs(0, 10_000, out);
  expect(out).toEqual(list);
  const tooMany = () => new Prefault([{ table: pairs, rows: 2 * ids + 1 }]);
  expect(tooMany).toThrow(expect.objectContaining({ code: "REC_NATIVE_ARGUMENT" }));
  pairs.release();
});

test("rows that are loaded meanwhile are what was saved", () => {
  const [from, to] = [tableOf(), tableOf()];
  fill(from);
  const bytes = saved(from);
  const prefault = new Prefault([
    { table: from, rows, fullRows: from.fullRowsUsed },
    { table: to, rows, fullRows: from.fullRowsUsed },
  ]);
  expect(to.load(0, bytes)).toBe(rows);
  prefault.stop();
  expect(to.fullRowsUsed).toBe(from.fullRowsUsed);
  expect(to.fullRowsUsed).toBeGreaterThan(500);
  expect(Buffer.compare(saved(to), bytes)).toBe(0);
  expect(Buffer.compare(saved(from), bytes)).toBe(0);
  from.release();
  to.release();
});

test("a table with less room gets what it has; more rows than there are is refused", () => {
  const table = tableOf(10);
  new Prefault([{ table, rows: 10, fullRows: 1_000_000 }]).stop();
  const refused = { code: "REC_NATIVE_ARGUMENT" };
  expect(() => new Prefault([{ table, rows: rows + 1, fullRows: 0 }])).toThrow(
    expect.objectContaining(refused),
  );
  const many = Array.from({ length: 17 }, () => ({ table, rows: 1, fullRows: 0 }));
  expect(() => new Prefault(many)).toThrow(expect.objectContaining(refused));
  table.release();
  expect(() => new Prefault([{ table, rows: 1, fullRows: 0 }])).toThrow(
    expect.objectContaining({ code: "REC_NATIVE_HANDLE" }),
  );
});
