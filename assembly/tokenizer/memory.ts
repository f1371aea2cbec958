/**
 * Bump allocation. The tables are allocated once and stay; what one text needs is taken after them and released as a
 * whole, so that memory never grows beyond the tables plus the largest text.
 */
let top: usize = __heap_base;

/** `bytes` of 16-byte aligned memory, zero where it was never used before. Traps when 4 GiB do not suffice. */
export function allocate(bytes: u64): usize {
  const start: u64 = (u64(top) + 15) & ~15;
  const end: u64 = start + bytes;
  const size: u64 = u64(memory.size()) << 16;
  if (end > u64(u32.MAX_VALUE)) unreachable();
  if (end > size && memory.grow(i32((end - size + 0xffff) >> 16)) < 0) unreachable();
  top = usize(end);
  return usize(start);
}

/** Where the next allocation starts, for `release`. */
export function mark(): usize {
  return top;
}

/** Gives back everything allocated at or after `to`. */
export function release(to: usize): void {
  top = to;
}
