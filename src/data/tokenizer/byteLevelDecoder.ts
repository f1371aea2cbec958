import { writeBytes } from './bytes.js';
import type { PieceDecoder } from './pieceDecoder.js';

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Tokens stand for bytes. Bytes that are not valid UTF-8 become U+FFFD as in every browser. */
export class ByteLevelDecoder implements PieceDecoder<Uint8Array> {
  /** A token with other characters than the alphabet's is text. */
  pieceOf(token: string): Uint8Array {
    const bytes = new Uint8Array(token.length);
    return writeBytes(token, bytes, 0) < 0 ? new TextEncoder().encode(token) : bytes;
  }

  decode(pieces: readonly Uint8Array[]): string {
    return utf8.decode(Buffer.concat(pieces));
  }

  byteLengths(pieces: readonly Uint8Array[]): number[] {
    return pieces.map(({ length }) => length);
  }

  incremental() {
    const stream = new TextDecoder('utf-8', { ignoreBOM: true });
    return {
      push: (piece: Uint8Array) => stream.decode(piece, { stream: true }),
      end: () => stream.decode(),
    };
  }
}

/** "▁" stands for a space, and in the first token for nothing where encoding put one there. */
export class MetaspaceDecoder implements PieceDecoder<string> {
  private readonly first: string;

  constructor(prepends: boolean) {
    this.first = prepends ? '' : ' ';
  }

  pieceOf(token: string): string {
    return token;
  }

  decode(pieces: readonly string[]): string {
    const { push } = this.incremental();
    return pieces.map(push).join('');
  }

  byteLengths(pieces: readonly string[]): number[] {
    const { push } = this.incremental();
    return pieces.map((piece) => Buffer.byteLength(push(piece)));
  }

  incremental() {
    let space = this.first;
    return {
      push: (piece: string) => {
        const text = piece.replaceAll('▁', space);
        space = ' ';
        return text;
      },
      end: () => {
        space = this.first;
        return '';
      },
    };
  }
}
