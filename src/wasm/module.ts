import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { RunError } from '../base/errors.js';

/** The AssemblyScript modules that the build puts beside this file. */
export type WasmName = 'kernels' | 'tokenizer' | 'losses' | 'svd';

const compiled = new Map<WasmName, WebAssembly.Module>();

/**
 * The compiled module of a built `.wasm` file; compiled once per thread. A Module may be posted to other threads.
 * Throws a RunError when the file has not been built.
 */
export function compileWasm(name: WasmName): WebAssembly.Module {
  let module = compiled.get(name);
  if (module === undefined) {
    if (name === 'kernels' || name === 'svd') enableRelaxedSimd();
    module = new WebAssembly.Module(readWasm(name));
    compiled.set(name, module);
  }
  return module;
}

function readWasm(name: WasmName): Uint8Array {
  const path = fileURLToPath(new URL(`./${name}.wasm`, import.meta.url));
  try {
    return readFileSync(path);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new RunError(`expected the built module ${path}, found none (${cause}): run "npm run build:wasm"`);
  }
}

/** Node 20 (V8 11.3) has relaxed SIMD behind a flag; V8 11.4 shipped it, and later versions reject the flag. */
function enableRelaxedSimd(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
}
