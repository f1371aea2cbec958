/** Content as an LZ4 block: the nearest match of each place that four bytes begin, found the plain way. */
export function lz4Block(content: Uint8Array): Uint8Array {
  const bytes = Buffer.from(content);
  const parts: number[] = [];
  const last = new Map<string, number>();
  let [at, literalsFrom] = [0, 0];
  const put = (match: { offset: number; size: number } | undefined) => {
    const literals = at - literalsFrom;
    const extra = match ? match.size - 4 : 0;
    parts.push((Math.min(literals, 15) << 4) | Math.min(extra, 15), ...rest(literals));
    parts.push(...bytes.subarray(literalsFrom, at));
    if (match) parts.push(match.offset & 255, match.offset >> 8, ...rest(extra));
  };
  while (at + 4 <= bytes.length) {
    const key = bytes.toString('latin1', at, at + 4);
    const before = last.get(key);
    last.set(key, at);
    if (before === undefined || at - before > 65_535) {
      at++;
      continue;
    }
    let size = 4;
    while (at + size < bytes.length && bytes[before + size] === bytes[at + size]) size++;
    put({ offset: at - before, size });
    at += size;
    literalsFrom = at;
  }
  at = bytes.length;
  put(undefined);
  return Uint8Array.from(parts);
}

function rest(length: number): number[] {
  if (length < 15) return [];
  const over = length - 15;
  return [...Array.from({ length: Math.floor(over / 255) }, () => 255), over % 255];
}
