import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Where the compiled module stands. */
export const nativePath = fileURLToPath(new URL("./build/rec.node", import.meta.url));

/** Says which `include/rec.h` the module was compiled with; written beside it. */
export const abiPath = fileURLToPath(new URL("./build/rec.abi", import.meta.url));

/** Names the text of `include/rec.h`: a module is as old as its declarations. */
export function abiOfHeader(): string {
  const header = fileURLToPath(new URL("./include/rec.h", import.meta.url));
  return createHash("sha256").update(readFileSync(header)).digest("hex");
}

let loaded: unknown;

/**
 * The compiled module, loaded once per thread. `T` names the functions that the caller uses; the
 * wrapper beside each family is the only place that does. Native errors carry a `code`:
 * REC_NATIVE_ARGUMENT, REC_NATIVE_HANDLE, REC_NATIVE_MEMORY, REC_NATIVE_IO or the family's own.
 */
export function loadNative<T>(): T {
  if (loaded === undefined) {
    if (!existsSync(nativePath)) throw unusable("REC_NATIVE_MISSING", "is not built");
    const abi = existsSync(abiPath) ? readFileSync(abiPath, "utf8") : "";
    if (abi !== abiOfHeader()) throw unusable("REC_NATIVE_STALE", "is older than the code");
    loaded = createRequire(import.meta.url)(nativePath);
  }
  return loaded as T;
}

function unusable(code: string, what: string): Error {
  const error = new Error(`the native module ${what}; run: bun native/build.ts`);
  return Object.assign(error, { code, fix: "bun native/build.ts" });
}

/** Native objects of this process that have not been released: flat while a server runs. */
export function nativeObjects(): number {
  return loadNative<{ objectCount(): number }>().objectCount();
}
