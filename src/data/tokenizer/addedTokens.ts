import type { AddedToken } from './file.js';
import { isWhiteSpace, WORD_CLASS } from './unicode.js';

/** UTF-16 units [start, end) of a text, none of them empty; `id` where they are an added token. */
export interface TokenSpan {
  readonly start: number;
  readonly end: number;
  readonly id?: number;
}

/** Finds added tokens in a text: always the leftmost, the longest of those that start there. */
export class AddedTokenMatcher {
  private readonly tokens = new Map<string, AddedToken>();
  private readonly pattern: RegExp | undefined;

  /** `contentOf` is what to look for; of two tokens with the same content the first counts. */
  constructor(tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string) {
    for (const token of tokens) {
      const content = contentOf(token);
      if (content !== '' && !this.tokens.has(content)) this.tokens.set(content, token);
    }
    if (this.tokens.size === 0) return;
    // In descending order a token comes before its own prefixes, so the longest is tried first.
    const alternatives = [...this.tokens.keys()].sort().reverse().map(escapePattern);
    this.pattern = new RegExp(alternatives.join('|'), 'gu');
  }

  /** There is nothing to find. */
  get empty(): boolean {
    return this.pattern === undefined;
  }

  /** The text as ids of added tokens and the pieces between them, none of them empty. */
  *split(text: string): Generator<number | string> {
    for (const { start, end, id } of this.spans(text)) yield id ?? text.slice(start, end);
  }

  /**
   * Where in a text added tokens are, and what is between them. The flags mean what they mean in the Hugging Face
   * library: with single_word a match inside a word is passed over; lstrip and rstrip take the white space on that side
   * along.
   */
  *spans(text: string): Generator<TokenSpan> {
    if (this.pattern === undefined) {
      if (text !== '') yield { start: 0, end: text.length };
      return;
    }
    let done = 0;
    let blanksEnd = 0;
    for (const match of text.matchAll(this.pattern)) {
      const token = this.tokens.get(match[0])!;
      let start = match.index;
      let stop = start + match[0].length;
      if (token.single_word && (endsWithWord(text, start) || startsWithWord(text, stop))) continue;
      if (token.lstrip) {
        while (start > done && isBlank(text, start - 1)) start--;
        start = Math.max(start, done);
      }
      if (token.rstrip) {
        // A match inside the blanks that an earlier one took along ends with them: no second walk.
        stop = Math.max(stop, blanksEnd);
        while (isBlank(text, stop)) stop++;
        blanksEnd = stop;
      }
      if (done < start) yield { start: done, end: start };
      // A match that strips to its left, inside the blanks that an earlier one took along, vanishes.
      if (start < stop) yield { start, end: stop, id: token.id };
      done = stop;
    }
    if (done < text.length) yield { start: done, end: text.length };
  }
}

function escapePattern(content: string): string {
  return content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

const wordAtEnd = new RegExp(`${WORD_CLASS}$`, 'u');
const wordAtStart = new RegExp(`^${WORD_CLASS}`, 'u');

function endsWithWord(text: string, end: number): boolean {
  return wordAtEnd.test(text.slice(Math.max(0, end - 2), end));
}

function startsWithWord(text: string, start: number): boolean {
  return wordAtStart.test(text.slice(start, start + 2));
}

function isBlank(text: string, index: number): boolean {
  return index < text.length && isWhiteSpace(text.charCodeAt(index));
}
