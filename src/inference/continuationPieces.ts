/** Token ids. */
export type Tokens = ArrayLike<number>;

/** A continuation, or a part of one that is too long for a replay: its parts are kept, until the last one is scored. */
export interface Piece {
  /** Which continuation of the row. */
  readonly of: number;
  readonly tokens: readonly number[];
  readonly isKept: boolean;
  /** Tokens that the row then forgets. */
  readonly back: number;
}

/** Continuations in pieces; what has no second token has none. @param most slots of a row in a replay */
export function piecesOf(continuations: readonly Tokens[], most: number): Piece[] {
  return continuations.flatMap((continuation, of) => {
    const tokens = Array.from(continuation);
    const count = Math.ceil((tokens.length - 1) / most);
    if (count === 0) return [];
    if (count === 1) return [{ of, tokens, isKept: false, back: 0 }];
    return Array.from({ length: count }, (_, i) => ({
      of,
      tokens: tokens.slice(i * most, (i + 1) * most + 1),
      isKept: i + 1 < count,
      back: i + 1 < count ? 0 : (count - 1) * most,
    }));
  });
}

/** Slots that pieces take: what comes last in each is only predicted. */
export const slotsOf = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);

/** Takes pieces from the front of a list as long as they fit; one that is kept or ends kept ones lies alone. */
export function takeUpTo(waiting: Piece[], most: number): Piece[] {
  const taken: Piece[] = [];
  const isAlone = ({ isKept, back }: Piece) => isKept || back > 0;
  while (waiting[0] && slotsOf([...taken, waiting[0]]) <= most) {
    if (taken.length > 0 && isAlone(waiting[0])) break;
    taken.push(waiting.shift()!);
    if (isAlone(taken[0]!)) break;
  }
  return taken;
}
