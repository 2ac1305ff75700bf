import { rmSync } from "node:fs";
import { RecError } from "../../models/core/errors.ts";

/** An answer's names and values. */
export type PeerAnswer = Readonly<Record<string, unknown>>;

export function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((one) => typeof one === "number");
}

/**
 * A Python script as a child process on one thread: it is given a folder, writes a line of JSON
 * when ready (an object), then answers each line of standard input with another.
 */
export class PythonPeer {
  /** What it said when ready. */
  first: PeerAnswer = {};
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #folder: string;
  readonly #decoder = new TextDecoder();
  #received = "";

  private constructor(python: string, script: string, folder: string) {
    this.#folder = folder;
    this.#child = Bun.spawn([python, script, folder], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { ...process.env, OMP_NUM_THREADS: "1", MKL_NUM_THREADS: "1" },
    });
    this.#chunks = this.#child.stdout.values();
  }

  /** Takes over the folder: `close` removes it. */
  static async open(python: string, script: string, folder: string): Promise<PythonPeer> {
    const peer = new PythonPeer(python, script, folder);
    try {
      peer.first = JSON.parse(await peer.#line());
      return peer;
    } catch (error) {
      await peer.close();
      throw error;
    }
  }

  async ask(request: string): Promise<PeerAnswer> {
    this.#child.stdin.write(`${request}\n`);
    await this.#child.stdin.flush();
    return JSON.parse(await this.#line());
  }

  async #line(): Promise<string> {
    while (!this.#received.includes("\n")) {
      const { value, done } = await this.#chunks.next();
      if (done === true) {
        const fix = "PEER_PYTHON must name a Python that has torch and numpy";
        throw new RecError("REC_BENCH_PEER", "PyTorch ended without an answer", { fix });
      }
      this.#received += this.#decoder.decode(value, { stream: true });
    }
    const end = this.#received.indexOf("\n");
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 1);
    return line;
  }

  async close(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
