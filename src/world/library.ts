import { platform } from 'node:os';
import koffi, { type LibraryHandle } from 'koffi';
import { InputError } from '../base/errors.js';
import type { Launch } from './launch.js';

/** Handles of MPI are addresses or numbers, by the library's ABI. */
export type Handle = bigint | number;

/** What of MPI's `mpi.h` is no function: the same names, other values in each ABI. */
export interface Abi {
  /** The C type of a handle. */
  readonly handle: 'intptr_t' | 'int';
  readonly world: Handle;
  readonly byte: Handle;
  readonly float: Handle;
  readonly infoNull: Handle;
  readonly errorsReturn: Handle;
  readonly inPlace: bigint;
  readonly anySource: number;
  /** MPI_COMM_TYPE_SHARED. */
  readonly shared: number;
  /** MPI_THREAD_FUNNELED: one thread calls MPI. */
  readonly funneled: number;
}

/** An MPI library that is loaded, before MPI_Init. */
export interface Library {
  /** Its name and version in a few words, as in `Open MPI 4.1.4`. */
  readonly version: string;
  readonly handle: LibraryHandle;
  readonly abi: Abi;
}

/** MPI 5.0, chapter 20; https://github.com/mpi-forum/mpi-abi-stubs */
const STANDARD: Abi = {
  handle: 'intptr_t',
  ...{ world: 0x101, byte: 0x247, float: 0x210, infoNull: 0x130, errorsReturn: 0x143 },
  ...{ inPlace: 1n, anySource: -1, shared: 221, funneled: 1024 },
};

/** MPICH, and Intel MPI, MVAPICH and Cray MPICH, which keep to its ABI. */
const MPICH: Abi = {
  handle: 'int',
  ...{
    world: 0x44000000,
    byte: 0x4c00010d,
    float: 0x4c00040a,
    infoNull: 0x1c000000,
    errorsReturn: 0x54000001,
  },
  ...{ inPlace: -1n, anySource: -2, shared: 1, funneled: 1 },
};

/** Open MPI 1.3 to 5: handles are addresses of the library's own variables. */
const openMpi = (library: LibraryHandle): Abi => ({
  handle: 'intptr_t',
  world: library.symbol('ompi_mpi_comm_world'),
  byte: library.symbol('ompi_mpi_byte'),
  float: library.symbol('ompi_mpi_float'),
  infoNull: library.symbol('ompi_mpi_info_null'),
  errorsReturn: library.symbol('ompi_mpi_errors_return'),
  ...{ inPlace: 1n, anySource: -1, shared: 0, funneled: 1 },
});

const NAMES = {
  linux: {
    standard: ['libmpi_abi.so.1', 'libmpi_abi.so.0', 'libmpi_abi.so'],
    'Open MPI': ['libmpi.so.40'],
    MPICH: ['libmpi.so.12', 'libmpich.so.12'],
    any: ['libmpi.so'],
  },
  darwin: {
    standard: ['libmpi_abi.1.dylib', 'libmpi_abi.0.dylib', 'libmpi_abi.dylib'],
    'Open MPI': ['libmpi.40.dylib'],
    MPICH: ['libmpi.12.dylib'],
    any: ['libmpi.dylib', '/opt/homebrew/lib/libmpi.dylib'],
  },
};

/**
 * The MPI library whose launcher started this process: the standard ABI's before those of one family.
 * @throws InputError when there is none, or another family's alone
 */
export function findLibrary({ family, only, seen }: Launch): Library {
  const names = namesFor(family);
  const others: string[] = [];
  for (const name of names) {
    let handle: LibraryHandle;
    try {
      // Open MPI's components look for its symbols among those of the whole process.
      handle = koffi.load(name, { global: true });
    } catch {
      continue;
    }
    const version = versionOf(handle);
    if (!only || familyOf(version) === family) return { version, handle, abi: abiOf(name, handle) };
    if (!others.includes(version)) others.push(version);
  }
  if (others.length === 0) {
    throw new InputError(
      `expected an MPI library for ${seen}, found none of ${names.join(', ')}; install Open MPI or MPICH, or name its folder in LD_LIBRARY_PATH`,
    );
  }
  throw new InputError(
    `expected a library of ${family}, whose launcher set ${seen}, found ${others.join(', ')} alone; start with mpirun of that library, or install the other one`,
  );
}

function namesFor(family: Launch['family']): string[] {
  const names = NAMES[platform() === 'darwin' ? 'darwin' : 'linux'];
  const second = family === 'Open MPI' ? 'MPICH' : 'Open MPI';
  return [...names.standard, ...names[family], ...names[second], ...names.any];
}

/** By what is in it: `libmpi.so.12` has been a name of both. */
function abiOf(name: string, handle: LibraryHandle): Abi {
  if (name.includes('libmpi_abi')) return STANDARD;
  try {
    return openMpi(handle);
  } catch {
    return MPICH;
  }
}

const LONGEST_VERSION = 8192;

function versionOf(library: LibraryHandle): string {
  const text = Buffer.alloc(LONGEST_VERSION);
  const length = new Int32Array(1);
  // One of the few functions that may be called before MPI_Init.
  library.func('MPI_Get_library_version', 'int', ['void *', 'void *'])(text, length);
  return shortVersion(text.toString('utf8', 0, length[0]));
}

/** `Open MPI v4.1.4, package: ...`, `MPICH Version: 4.0.2`, `Intel(R) MPI Library 2021.19 for Linux* OS`. */
export function shortVersion(text: string): string {
  const [first = ''] = text.split(/[\n,\0]/);
  return first
    .replace(/\s+Version\s*:\s*/, ' ')
    .replace(/\bv(?=\d)/, '')
    .replace(/ for .*/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Libraries that hydra starts name themselves so; all others are Open MPI or made of it. */
export const familyOf = (version: string): Launch['family'] =>
  /MPICH|Intel|MVAPICH/.test(version) ? 'MPICH' : 'Open MPI';
