import { describe, test } from "bun:test";
import type { ExtractionShape, KernelSet } from "./kernel-set.ts";
import { padded } from "./kernel-set.ts";
import { same, values } from "./kernels.suite.ts";
import { extractionSizes, type PleShape, packPleShape, pleWorkspace } from "./ple-shape.ts";

/** What a set of kernels must do of progressive layered extraction, whoever computes. */
export function pleSuite(name: string, make: () => KernelSet): void {
  describe(`extraction kernels ${name}`, () => {
    mixTests(make);
    for (const [index, widths] of pleShapes.entries()) {
      test(`the fused score equals the plain one, shape ${index}`, () => {
        const shape = testPleShape(widths);
        for (const [rows, userRows] of [
          [0, 1],
          [1, 1],
          [13, 13],
          [171, 1],
        ] as const) {
          for (const logits of [true, false]) checkScore(make(), shape, { rows, userRows, logits });
        }
      });
    }
  });
}

function mixTests(make: () => KernelSet): void {
  test("gates that see some experts, forward and backward", () => {
    for (const width of [1, 16, 19, 64]) {
      for (const [heads, headExperts, sharedExperts] of [
        [1, 1, 1],
        [5, 1, 2],
        [3, 2, 3],
        [2, 7, 17],
      ] as const) {
        for (const sharedGate of [true, false]) {
          checkMix(make(), { heads, headExperts, sharedExperts, sharedGate, width });
        }
      }
    }
  });
}

type MixSizes = Pick<
  ExtractionShape,
  "heads" | "headExperts" | "sharedExperts" | "sharedGate" | "width"
>;

function checkMix(kernels: KernelSet, sizes: MixSizes): void {
  const rows = 5;
  const { heads, headExperts, sharedExperts, width } = sizes;
  const experts = heads * headExperts + sharedExperts;
  const logits = heads * (headExperts + sharedExperts) + (sizes.sharedGate ? experts : 0);
  const gates = heads + (sizes.sharedGate ? 1 : 0);
  const shape: ExtractionShape = {
    ...sizes,
    rows,
    logitsRow: logits + 2,
    expertsRow: experts * (width + 1) + 3,
    expertStride: width + 1,
    mixedGate: rows * (width + 2),
    mixedRow: width + 2,
  };
  const inputs = [
    values(rows * shape.logitsRow, 14, 60),
    values(rows * shape.expertsRow, 15),
    new Float32Array(rows * logits),
    values(gates * shape.mixedGate, 16),
  ] as const;
  same(kernels, inputs, (set, [logits, experts, gates, mixed]) =>
    set.extractionMix(shape, {
      ...{ logits: logits!, experts: experts!, gates: gates!, mixed: mixed! },
    }),
  );
  const shares = values(rows * logits, 17).map(Math.abs);
  const back = [shares, inputs[1], inputs[3], inputs[0], inputs[1].slice()];
  same(kernels, back, (set, all) =>
    set.extractionMixBackward(shape, {
      gates: all[0]!,
      experts: all[1]!,
      mixedGradient: all[2]!,
      logitsGradient: all[3]!,
      expertsGradient: all[4]!,
    }),
  );
}

function checkScore(
  kernels: KernelSet,
  shape: PleShape,
  call: { rows: number; userRows: number; logits: boolean },
): void {
  const { rows, userRows } = call;
  const inputs = [
    values(shape.floats, 30, 0.4),
    values(userRows * shape.userDense, 31, 3),
    values(userRows * shape.userVector, 32),
    values(rows * shape.itemDense, 33, 3),
    values(rows * shape.itemVector, 34),
    new Float32Array(rows * shape.heads),
  ];
  same(kernels, inputs, (set, c) =>
    set.pleScore(shape, {
      ...call,
      weights: c[0]!,
      userDense: c[1]!,
      userVector: c[2]!,
      itemDense: c[3]!,
      itemVector: c[4]!,
      out: c[5]!,
      workspace: new Float32Array(pleWorkspace(shape)),
    }),
  );
}

interface PleWidths {
  readonly inputs: readonly [number, number, number, number];
  readonly heads: number;
  readonly headExperts: number;
  readonly sharedExperts: number;
  readonly levels: number;
  readonly expertWidths: readonly number[];
  readonly towerWidths: readonly number[];
}

const pleShapes: readonly PleWidths[] = [
  {
    inputs: [3, 2, 5, 1],
    ...{ heads: 1, headExperts: 1, sharedExperts: 1, levels: 1 },
    ...{ expertWidths: [7], towerWidths: [] },
  },
  {
    inputs: [17, 0, 9, 4],
    ...{ heads: 2, headExperts: 2, sharedExperts: 1, levels: 2 },
    ...{ expertWidths: [20, 9], towerWidths: [5] },
  },
  {
    inputs: [6, 4, 0, 8],
    ...{ heads: 4, headExperts: 1, sharedExperts: 3, levels: 3 },
    ...{ expertWidths: [33], towerWidths: [18, 4] },
  },
];

/** Lays the parts out one after another, as any caller may. */
export function testPleShape(widths: PleWidths): PleShape {
  const { heads, levels, expertWidths, towerWidths } = widths;
  const [userDense, userVector, itemDense, itemVector] = widths.inputs;
  let floats = 0;
  const take = (count: number) => {
    floats += padded(count);
    return floats - padded(count);
  };
  const { experts, logits } = extractionSizes(widths, 0);
  const columns = experts * padded(expertWidths[0]!) + padded(logits + heads);
  const last = expertWidths.at(-1)!;
  const stacks = (blocks: number, entry: number, sizes: readonly number[]) =>
    sizes.map((width, l) => take(blocks * ((sizes[l - 1] ?? entry) + 1) * padded(width)));
  const shape = {
    ...widths,
    ...{ userDense, userVector, itemDense, itemVector },
    userMean: take(userDense),
    userScale: take(userDense),
    itemMean: take(itemDense),
    itemScale: take(itemDense),
    layerOne: take((userDense + userVector + itemDense + itemVector) * columns),
    layerOneBias: take(columns),
    expertOffsets: Array.from({ length: levels }, () => stacks(experts, last, expertWidths)),
    gateOffsets: Array.from({ length: levels }, (_, l) =>
      take(extractionSizes(widths, l).parameters),
    ),
    towerOffsets: stacks(heads, last, towerWidths),
    outputOffset: take(heads * (padded(towerWidths.at(-1) ?? last) + 16)),
    floats: 0,
    secondsHeads: 1 << (heads - 1),
  };
  const whole = { ...shape, floats };
  return { ...whole, packed: packPleShape(whole) };
}
