/** Short strings of bytes; 16 bytes behind them may be read. */

/** Eight bytes at `at + i`, zeros from `length` on. */
// @ts-ignore: decorator
@inline
export function chunkAt(at: usize, i: usize, length: usize): u64 {
  const chunk = load<u64>(at + i);
  const left = length - i;
  return left >= 8 ? chunk : chunk & ((u64(1) << (8 * left)) - 1);
}

export function hashOf(at: usize, length: usize): u64 {
  let hash = u64(length) * 0x9e3779b97f4a7c15;
  for (let i: usize = 0; i < length; i += 8) {
    hash = (hash ^ chunkAt(at, i, length)) * 0x9fb21c651e98df25;
    hash ^= hash >> 32;
  }
  return hash * 0x9e3779b97f4a7c15;
}

export function sameBytes(a: usize, b: usize, length: usize): bool {
  for (let i: usize = 0; i < length; i += 8) {
    if (chunkAt(a, i, length) != chunkAt(b, i, length)) return false;
  }
  return true;
}
