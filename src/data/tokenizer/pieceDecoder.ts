/** A decoder of the Hugging Face library. P is what a token becomes, whatever stands around it. */
export interface PieceDecoder<P> {
  pieceOf(token: string): P;
  /** The text of a whole document. */
  decode(pieces: readonly P[]): string;
  /** UTF-8 bytes of each piece's part of that text; a byte of a character that is not whole is one, too. */
  byteLengths(pieces: readonly P[]): number[];
  incremental(): { push(piece: P): string; end(): string };
}
