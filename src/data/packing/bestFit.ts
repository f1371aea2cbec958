import type { BlockSize } from './blockSize.js';
import type { PieceReader } from './pieces.js';
import { appendPiece, emptyRow, type Piece, type Row, RowBlock } from './rows.js';

/**
 * A block of rows of whole documents, or whole pieces of N pairs and a rest of longer ones: as many documents in a row as
 * the block's rows have slots, each put where it leaves least room, the longest first. Any two rows of a block hold more
 * than N slots together, so that at most one of them is half empty; there may be more rows than asked for. Documents
 * keep their order in a row, and rows that of their first documents. Pieces without anything to learn are left out.
 */
export async function bestFitRows(pieces: PieceReader, sequence: number, size: BlockSize): Promise<RowBlock> {
  const block = await nextPieces(pieces, sequence, size);
  const bins = packBestFit(block.map(pairsOf), sequence);
  const rows = new Map<number, Row>();
  block.forEach((piece, i) => {
    const row = rows.get(bins[i]!) ?? emptyRow(sequence);
    rows.set(bins[i]!, row);
    appendPiece(row, piece);
  });
  const packed = new RowBlock(sequence);
  for (const row of rows.values()) packed.add(row);
  return packed;
}

/** Counts the rows that best-fit packing makes of documents, without making them. */
export class BestFitCounter {
  readonly #sequence: number;
  readonly #slots: number;
  #sizes: number[] = [];
  #pairs = 0;
  #filled = 0;
  #rows = 0;

  constructor(sequence: number, blockRows: number) {
    this.#sequence = sequence;
    this.#slots = sequence * blockRows;
  }

  /** @param pairs of a document: all that rows get of it */
  add(pairs: number): void {
    for (let left = pairs; left > 0; left -= this.#sequence) {
      const size = Math.min(left, this.#sequence);
      if (this.#pairs + size > this.#slots || this.#sizes.length === MOST_PIECES) this.#close();
      this.#sizes.push(size);
      this.#pairs += size;
    }
  }

  end(): { readonly rows: number; readonly efficiency: number } {
    this.#close();
    const [rows, filled] = [this.#rows, this.#filled];
    return { rows, efficiency: rows === 0 ? 0 : filled / (rows * this.#sequence) };
  }

  #close(): void {
    this.#rows += packBestFit(this.#sizes, this.#sequence).reduce((most, bin) => Math.max(most, bin + 1), 0);
    this.#filled += this.#pairs;
    this.#sizes = [];
    this.#pairs = 0;
  }
}

/** Pieces of a block, at most: short ones would take more memory than their tokens. */
const MOST_PIECES = 2 ** 17;

const pairsOf = ({ tokens }: Piece): number => tokens.length - 1;

/** The pieces that come next, of as many pairs as the rows of a block have slots, at most. */
async function nextPieces(
  pieces: PieceReader,
  sequence: number,
  { rows, epochs }: BlockSize,
): Promise<Piece[]> {
  const block: Piece[] = [];
  let room = rows * sequence;
  const end = pieces.position.epoch + epochs;
  while (block.length < MOST_PIECES && (await pieces.more()) && Math.min(pieces.left, sequence) <= room) {
    if (pieces.position.epoch >= end && block.length > 0) break;
    const piece = pieces.take(sequence);
    if (piece.learned && !piece.learned.includes(1, 1)) continue;
    block.push(piece);
    room -= pairsOf(piece);
  }
  return block;
}

/**
 * Best-fit decreasing: each item, the largest first, goes into the bin with the least free space that is enough. Of equal
 * items the first comes first, of equal bins the one touched last. O(n log n + n log capacity).
 * @param sizes from 1 to `capacity`
 * @returns [sizes] the bin of each item; bins are numbered from 0
 */
export function packBestFit(sizes: readonly number[], capacity: number): Uint32Array {
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const free = new FreeSpace(capacity);
  const result = new Uint32Array(sizes.length);
  let bins = 0;
  for (const i of order) {
    const { bin, space } = free.take(sizes[i]!) ?? { bin: bins++, space: capacity };
    free.put(bin, space - sizes[i]!);
    result[i] = bin;
  }
  return result;
}

/** Bins by their free space, and a binary tree over it that tells which amounts there are. */
class FreeSpace {
  /** Leaves of the tree: a power of two above the largest amount. */
  readonly #leaves: number;
  /** 1 at nodes below which there is a bin; the root is 1, the children of i are 2 i and 2 i + 1. */
  readonly #tree: Uint8Array;
  readonly #bins = new Map<number, number[]>();

  constructor(most: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(most + 1));
    this.#tree = new Uint8Array(2 * this.#leaves);
  }

  put(bin: number, space: number): void {
    const bins = this.#bins.get(space);
    if (bins) bins.push(bin);
    else this.#bins.set(space, [bin]);
    for (let node = space + this.#leaves; node > 0; node >>= 1) this.#tree[node] = 1;
  }

  /** Takes out a bin with the least space that is at least `size`; undefined if there is none. */
  take(size: number): { bin: number; space: number } | undefined {
    const space = this.#least(size);
    if (space === undefined) return undefined;
    const bins = this.#bins.get(space)!;
    const bin = bins.pop()!;
    if (bins.length === 0) this.#clear(space);
    return { bin, space };
  }

  #clear(space: number): void {
    const tree = this.#tree;
    let node = space + this.#leaves;
    tree[node] = 0;
    for (node >>= 1; node > 0; node >>= 1) tree[node] = tree[2 * node]! | tree[2 * node + 1]!;
  }

  /** The least amount of at least `size` that a bin has free. */
  #least(size: number): number | undefined {
    const tree = this.#tree;
    let node = size + this.#leaves;
    // Up until there is something at or to the right of the path, then down to its leftmost leaf.
    while (tree[node] === 0) {
      while (node & 1) node >>= 1;
      if (node === 0) return undefined;
      node++;
    }
    while (node < this.#leaves) node = 2 * node + (tree[2 * node] === 1 ? 0 : 1);
    return node - this.#leaves;
  }
}
