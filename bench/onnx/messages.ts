import type { Figure } from "../statistics.ts";

export interface OnnxWork {
  readonly seed: number;
  readonly candidates: number;
  readonly swaps: number;
  readonly sessions: number;
  readonly turnMs: number;
  readonly rounds: number;
}

export type FromOnnxThread =
  | { readonly kind: "said"; readonly text: string }
  | { readonly kind: "done"; readonly figures: Readonly<Record<string, Figure>> };
