/** The sum of `bytes` (a multiple of 64) from `from` on, as integers, in four streams: as fast as one thread reads memory. */
export function read(from: usize, bytes: usize): i32 {
  let a = i32x4.splat(0), b = a, c = a, d = a;
  const run = bytes >> 2;
  let p = from, q = p + run, r = q + run, s = r + run;
  for (const end = q; p < end; ) {
    a = i32x4.add(a, v128.load(p)); b = i32x4.add(b, v128.load(q));
    c = i32x4.add(c, v128.load(r)); d = i32x4.add(d, v128.load(s));
    p += 16; q += 16; r += 16; s += 16;
  }
  const all = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
  return i32x4.extract_lane(all, 0) + i32x4.extract_lane(all, 1) + i32x4.extract_lane(all, 2) + i32x4.extract_lane(all, 3);
}
