import { auc } from "../../models/evaluation/auc.ts";
import type { JudgedHead } from "../../models/evaluation/head-report.ts";

const hourMs = 3_600_000;

/** The first head's AUC in each stretch of hours from the first row on: a column an arm. */
export function aucByHour(
  rows: readonly { readonly timeMs: number }[],
  runs: readonly { readonly name: string; readonly heads: readonly JudgedHead[] }[],
  width: number,
): string {
  const firstMs = rows[0]?.timeMs ?? 0;
  const hours = Map.groupBy(rows.keys(), (row) =>
    Math.floor(((rows[row]?.timeMs ?? firstMs) - firstMs) / (width * hourMs)),
  );
  const names = runs.map(({ name }) => name.padStart(15)).join("");
  const title = `AUC of ${runs[0]?.heads[0]?.name ?? "no head"} from hour to hour`;
  const lines = [...hours].map(([hour, of]) => {
    const values = runs.map(({ heads: [head] }) => aucOf(head, of).toFixed(4).padStart(15));
    return `${String(width * hour).padStart(5)} ${String(of.length).padStart(6)}${values.join("")}`;
  });
  return [title, ` hour   rows${names}`, ...lines].join("\n");
}

function aucOf(head: JudgedHead | undefined, rows: readonly number[]): number {
  const column = (of: ArrayLike<number> = []) => rows.map((row) => of[row] ?? Number.NaN);
  return auc({ scores: column(head?.predictions), labels: column(head?.labels) });
}
