import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Where the compiled module stands. */
export const nativePath = fileURLToPath(new URL("./build/rec.node", import.meta.url));

let loaded: unknown;

/**
 * The compiled module, loaded once per thread. `T` names the functions that the caller uses; the
 * wrapper beside each family is the only place that does. Native errors carry a `code`:
 * REC_NATIVE_ARGUMENT, REC_NATIVE_HANDLE, REC_NATIVE_MEMORY, REC_NATIVE_IO or the family's own.
 */
export function loadNative<T>(): T {
  if (loaded === undefined) {
    if (!existsSync(nativePath)) throw missing();
    loaded = createRequire(import.meta.url)(nativePath);
  }
  return loaded as T;
}

function missing(): Error {
  const error = new Error(`the native module is not built; run: bun native/build.ts`);
  return Object.assign(error, { code: "REC_NATIVE_MISSING", fix: "bun native/build.ts" });
}

/** Native objects of this process that have not been released: flat while a server runs. */
export function nativeObjects(): number {
  return loadNative<{ objectCount(): number }>().objectCount();
}
