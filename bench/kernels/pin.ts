function taskset(...args: string[]): string | null {
  const command = Bun.which("taskset");
  if (command === null) return null;
  const ran = Bun.spawnSync([command, ...args]);
  return ran.success ? ran.stdout.toString() : null;
}

/**
 * Runs `work` with this thread on one processor, where the system can; -1 leaves it free. Threads
 * that exist already (garbage collection, the compiler) stay where they are.
 */
export async function pinned<T>(
  cpu: number,
  say: (text: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const thread = String(process.pid);
  const before = cpu < 0 ? null : taskset("-cp", thread);
  const allowed = before?.split(":").at(-1)?.trim();
  const moved = allowed !== undefined && taskset("-cp", String(cpu), thread) !== null;
  if (cpu >= 0) say(moved ? `pinned to processor ${cpu}` : "not pinned: no taskset");
  try {
    return await work();
  } finally {
    if (moved) taskset("-cp", allowed, thread);
  }
}
