/**
 * The part of the WebAssembly JavaScript interface that is used here. TypeScript ships these types only with the
 * DOM library, which would bring every browser global along.
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }

  type Imports = Record<string, Record<string, unknown>>;

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: object;
  }

  class Memory {
    /** Sizes in pages of 64 KiB. */
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    /** Adds pages; returns the previous size in pages, throws a RangeError when it cannot. */
    grow(pages: number): number;
  }

  class RuntimeError extends Error {}

  function validate(bytes: Uint8Array): boolean;
}
