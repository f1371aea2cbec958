import { ByteLevelDecoder, MetaspaceDecoder } from './byteLevelDecoder.js';
import type { DecoderStep } from './file.js';
import type { PieceDecoder } from './pieceDecoder.js';
import { SentencePieceDecoder } from './sentencePieceDecoder.js';
import { SpacedDecoder } from './spacedDecoder.js';

/** Turns ids into text one at a time, for generation. */
export interface IncrementalDecoder {
  /** The text that is certain now: characters whose bytes are not all there are held back. */
  push(id: number): string;
  /** What was held back, incomplete characters as U+FFFD; the decoder then starts anew. */
  end(): string;
}

/** The same for ids, which all have tokens. */
export interface Decoder {
  decode(ids: ArrayLike<number>): string;
  byteLengths(ids: ArrayLike<number>): number[];
  incremental(): IncrementalDecoder;
}

/** `tokenOf` gives the tokens as the decoder of the file sees them. */
export function createDecoder(
  steps: readonly DecoderStep[] | undefined,
  tokenOf: (id: number) => string,
): Decoder {
  if (!steps) return byId(new SpacedDecoder(), tokenOf);
  const [first] = steps;
  if (first?.type === 'ByteLevel') return byId(new ByteLevelDecoder(), tokenOf);
  if (first?.type !== 'Metaspace') return byId(new SentencePieceDecoder(steps), tokenOf);
  return byId(new MetaspaceDecoder(first.prepend_scheme !== 'never'), tokenOf);
}

function byId<P>(decoder: PieceDecoder<P>, tokenOf: (id: number) => string): Decoder {
  const pieces: P[] = [];
  const pieceOf = (id: number) => {
    pieces[id] ??= decoder.pieceOf(tokenOf(id));
    return pieces[id];
  };
  return {
    decode: (ids) => decoder.decode(Array.from(ids, pieceOf)),
    byteLengths: (ids) => decoder.byteLengths(Array.from(ids, pieceOf)),
    incremental: () => {
      const { push, end } = decoder.incremental();
      return { push: (id) => push(pieceOf(id)), end };
    },
  };
}
