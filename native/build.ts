/**
 * Compiles native/src/*.cpp into native/build/rec.node: `bun native/build.ts`.
 *
 * Each source becomes an object named by the hash of everything that it can depend on (its text,
 * all headers, the flags, the compiler), so an unchanged one is never compiled again, and two
 * compilers run side by side. The result is written under a temporary name and renamed: a process
 * that loads it sees the old one or the new one. A lock file keeps two builds apart.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { abiOfHeader, abiPath, nativePath } from "./load.ts";

const here = dirname(fileURLToPath(import.meta.url));
const sourceDir = join(here, "src");
const outputDir = join(here, "build");
const require = createRequire(import.meta.url);

const compileFlags = ["-O3", "-std=c++20", "-fPIC", "-pthread", "-fvisibility=hidden"];
const warningFlags = ["-Wall", "-Wextra"];
const compilersAtOnce = 2;
const lockWaitMs = 180_000;

function packageDir(name: string): string {
  return dirname(require.resolve(`${name}/package.json`));
}

/** Directories on the include path: ours, Node-API, hnswlib's headers. */
export function includeDirs(): string[] {
  return [
    join(here, "include"),
    sourceDir,
    join(packageDir("node-api-headers"), "include"),
    join(packageDir("hnswlib-node"), "src", "hnswlib"),
  ];
}

function stop(message: string): never {
  console.error(message);
  process.exit(1);
}

function compilerVersion(): string {
  const found = Bun.which("g++");
  if (found === null) {
    stop("g++ is needed to build the native module. Install it with: apt-get install -y g++");
  }
  const ran = Bun.spawnSync([found, "--version"]);
  return ran.stdout.toString().split("\n")[0] ?? "";
}

/** Everything that is included: the headers of all folders, and what lies below our own. */
function headerTexts(): string[] {
  return includeDirs().flatMap((dir) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(h|hpp|inc|inl)$/.test(name) || /[/\\].*\.cpp$/.test(name))
      .sort()
      .map((name) => readFileSync(join(dir, name), "utf8")),
  );
}

function hashOf(texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest("hex").slice(0, 24);
}

interface Unit {
  readonly source: string;
  readonly object: string;
}

function units(common: string): Unit[] {
  return readdirSync(sourceDir)
    .filter((name) => name.endsWith(".cpp"))
    .sort()
    .map((name) => {
      const source = join(sourceDir, name);
      const hash = hashOf([common, readFileSync(source, "utf8")]);
      return { source, object: join(outputDir, `${name.replace(/\.cpp$/, "")}.${hash}.o`) };
    });
}

async function run(command: readonly string[], what: string): Promise<void> {
  const child = Bun.spawn([...command], { stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${what} failed: ${command.join(" ")}`);
}

async function compile(unit: Unit): Promise<void> {
  const part = `${unit.object}.${process.pid}.part`;
  const includes = includeDirs().flatMap((dir) => ["-isystem", dir]);
  const flags = [...compileFlags, ...warningFlags, ...includes];
  await run(["g++", ...flags, "-c", unit.source, "-o", part], relative(here, unit.source));
  renameSync(part, unit.object);
}

async function compileAll(missing: readonly Unit[]): Promise<void> {
  const queue = [...missing];
  const lane = async () => {
    for (let unit = queue.shift(); unit !== undefined; unit = queue.shift()) await compile(unit);
  };
  await Promise.all(Array.from({ length: compilersAtOnce }, lane));
}

async function link(all: readonly Unit[]): Promise<void> {
  const part = join(outputDir, `rec.${process.pid}.part`);
  const objects = all.map((unit) => unit.object);
  await run(["g++", "-shared", "-pthread", ...objects, "-o", part], "link");
  renameSync(part, nativePath);
}

function removeOldObjects(all: readonly Unit[]): void {
  const keep = new Set(all.map((unit) => unit.object));
  for (const name of readdirSync(outputDir)) {
    const path = join(outputDir, name);
    if (/\.o$|\.part$/.test(name) && !keep.has(path)) rmSync(path, { force: true });
  }
}

function holderIsAlive(lock: string): boolean {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return true;
  } catch {
    return false;
  }
}

function tryLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    return false;
  }
}

async function withLock<T>(work: () => Promise<T>): Promise<T> {
  const lock = join(outputDir, "lock");
  const giveUpAt = performance.now() + lockWaitMs;
  while (!tryLock(lock)) {
    if (!holderIsAlive(lock)) rmSync(lock, { force: true });
    else if (performance.now() > giveUpAt) throw new Error(`another build holds ${lock}`);
    await Bun.sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Builds when something changed; says whether it did. */
export async function buildNative(): Promise<"built" | "unchanged"> {
  mkdirSync(outputDir, { recursive: true });
  const flags = [...compileFlags, ...warningFlags].join(" ");
  const version = compilerVersion();
  return withLock(async () => {
    const all = units(hashOf([version, flags, ...headerTexts()]));
    const stamp = hashOf(all.map((unit) => unit.object.slice(outputDir.length)));
    const stampFile = join(outputDir, "rec.hash");
    const last = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : "";
    const unchanged = existsSync(nativePath) && last === stamp;
    if (unchanged && existsSync(abiPath)) return "unchanged";
    await compileAll(all.filter((unit) => !existsSync(unit.object)));
    await link(all);
    writeFileSync(abiPath, abiOfHeader());
    writeFileSync(stampFile, stamp);
    removeOldObjects(all);
    return "built";
  });
}

if (import.meta.main) {
  const startedMs = performance.now();
  try {
    const outcome = await buildNative();
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    if (outcome === "built") console.log(`native module built in ${seconds} s`);
  } catch (thrown) {
    stop(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
