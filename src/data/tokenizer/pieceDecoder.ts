/** A decoder of the Hugging Face library. P is what a token becomes, whatever stands around it. */
export interface PieceDecoder<P> {
  pieceOf(token: string): P;
  /** The text of a whole document. */
  decode(pieces: readonly P[]): string;
  incremental(): { push(piece: P): string; end(): string };
}
