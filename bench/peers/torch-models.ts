import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecError } from "../../models/core/errors.ts";
import type { ParityAnswer, ParityTask } from "../../models/training/testing/parity.ts";

const script = join(import.meta.dir, "torch_models.py");

/** What the script writes. */
export interface TorchAnswer extends ParityAnswer {
  /** Version of PyTorch. */
  readonly torch: string;
}

/** PyTorch's answer to a task, by the interpreter that PEER_PYTHON names. */
export async function torchAnswer(
  python: string,
  task: ParityTask & { readonly precision: "single" | "double" },
): Promise<TorchAnswer> {
  const folder = mkdtempSync(join(tmpdir(), "rec-torch-"));
  try {
    const [question, answer] = [join(folder, "task.json"), join(folder, "answer.json")];
    writeFileSync(question, JSON.stringify(task));
    const child = Bun.spawn([python, script, question, answer], {
      env: { ...process.env, OMP_NUM_THREADS: "1", MKL_NUM_THREADS: "1" },
      stdout: "inherit",
      stderr: "inherit",
    });
    if ((await child.exited) !== 0) {
      const fix = "PEER_PYTHON must name a Python that has torch and numpy";
      throw new RecError("REC_BENCH_PEER", "PyTorch ended without an answer", { fix });
    }
    const found: TorchAnswer = JSON.parse(readFileSync(answer, "utf8"));
    return found;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
