/**
 * Builds native/test/*.cpp with the cores they test under ThreadSanitizer and under
 * AddressSanitizer with UndefinedBehaviorSanitizer, and runs them: `bun native/test/sanitize.ts`.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { includeDirs } from "../build.ts";

const here = dirname(fileURLToPath(import.meta.url));
const native = dirname(here);
/** All that needs no JavaScript engine. */
const sources = readdirSync(join(native, "src"))
  .filter((name) => name.endsWith(".cpp") && !name.startsWith("binding"))
  .sort()
  .map((name) => join(native, "src", name));

/** Programs and sources of the kernels, which share nothing between threads. */
function isKernels(path: string): boolean {
  return basename(path).startsWith("kernels");
}

const sanitizers = {
  // The sanitizer does not model fences; all shared words are atomic, so it need not.
  thread: ["-fsanitize=thread", "-Wno-tsan"],
  address: ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
} as const;
type Sanitizer = keyof typeof sanitizers;

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

async function run(command: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "pipe" });
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { ok: (await child.exited) === 0, output: out + error };
}

function compileCommand(sanitizer: Sanitizer, rest: readonly string[]): string[] {
  const include = includeDirs().flatMap((dir) => ["-I", dir]);
  const base = [
    "g++",
    "-O1",
    "-g",
    "-std=c++20",
    "-pthread",
    "-include",
    join(here, "race_point.h"),
  ];
  return [...base, ...sanitizers[sanitizer], ...include, ...rest];
}

/** Objects of what the programs test, so that each program compiles only itself. */
async function buildCores(
  sanitizer: Sanitizer,
  cores: readonly string[],
  folder: string,
): Promise<string[]> {
  const objects: string[] = [];
  for (const source of cores) {
    const object = join(folder, `${sanitizer}-${basename(source, ".cpp")}.o`);
    const built = await run(compileCommand(sanitizer, ["-c", source, "-o", object]));
    if (!built.ok) throw new Error(built.output);
    objects.push(object);
  }
  return objects;
}

async function runProgram(name: string, sanitizer: Sanitizer, objects: readonly string[]) {
  const program = join(dirname(objects[0] ?? here), `${sanitizer}-${name}`);
  const source = join(here, `${name}.cpp`);
  const built = await run(compileCommand(sanitizer, [source, ...objects, "-o", program]));
  if (!built.ok) return built;
  // Without a fixed address layout the sanitizer's shadow memory always fits.
  return run(["setarch", "-R", program]).catch(() => run([program]));
}

async function lane(sanitizer: Sanitizer, names: readonly string[], folder: string) {
  const ofKernels = names.some(isKernels);
  const ofTables = names.some((name) => !isKernels(name));
  const wanted = sources.filter((source) => (isKernels(source) ? ofKernels : ofTables));
  const objects = await buildCores(sanitizer, wanted, folder);
  let passed = 0;
  for (const name of names) {
    const startedMs = performance.now();
    const { ok, output } = await runProgram(
      name,
      sanitizer,
      objects.filter(
        (object) => isKernels(object.replace(`${sanitizer}-`, "")) === isKernels(name),
      ),
    );
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    console.log(`${ok ? "pass" : "FAIL"}  ${sanitizer.padEnd(8)} ${name} (${seconds} s)`);
    if (ok) passed++;
    else console.log(output);
  }
  return passed;
}

/** Runs all programs (or those whose name contains `only`); returns how many passed and failed. */
export async function sanitize(only = ""): Promise<{ passed: number; failed: number }> {
  const folder = join(native, "build", "sanitize");
  mkdirSync(folder, { recursive: true });
  const names = readdirSync(here)
    .filter((name) => name.endsWith(".cpp") && name.includes(only))
    .map((name) => name.replace(/\.cpp$/, ""))
    .sort();
  const races = names.filter((name) => !isKernels(name));
  const passed = await Promise.all([lane("thread", races, folder), lane("address", names, folder)]);
  const total = passed[0] + passed[1];
  return { passed: total, failed: races.length + names.length - total };
}

if (import.meta.main) {
  const { passed, failed } = await sanitize(process.argv[2]);
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}
