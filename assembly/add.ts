import { storeFirst } from './tail';

/** y = x + z, elementwise over `size` numbers; y may be x or z. A tile is a range of numbers, a multiple of 4. */
export function add(tile: i32, scratch: usize, x: usize, z: usize, y: usize, size: i32, perTile: i32): void {
  const end = min((tile + 1) * perTile, size);
  for (let i = tile * perTile; i < end; i += 4) {
    const at = <usize>i << 2;
    storeFirst(y + at, f32x4.add(v128.load(x + at), v128.load(z + at)), end - i);
  }
}
