import type { PieceDecoder } from './pieceDecoder.js';

/** Tokens with spaces between them, which is what the library makes of them where a file has no decoder. */
export class SpacedDecoder implements PieceDecoder<string> {
  pieceOf(token: string): string {
    return token;
  }

  decode(pieces: readonly string[]): string {
    return pieces.join(' ');
  }

  byteLengths(pieces: readonly string[]): number[] {
    const { push } = this.incremental();
    return pieces.map((piece) => Buffer.byteLength(push(piece)));
  }

  incremental() {
    let space = '';
    return {
      push: (piece: string) => {
        const text = space + piece;
        space = ' ';
        return text;
      },
      end: () => {
        space = '';
        return '';
      },
    };
  }
}
