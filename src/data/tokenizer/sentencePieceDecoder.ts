import { mostLength, replacedAll } from './bounds.js';
import type { DecoderStep } from './file.js';
import type { PieceDecoder } from './pieceDecoder.js';

/** What a token becomes: text, or one byte of a character. */
type Piece = string | number;

/** Replace and Strip of each token, ByteFallback, Fuse, Strip of the whole. */
export class SentencePieceDecoder implements PieceDecoder<Piece> {
  private readonly ofToken: ((text: string, most: number) => string)[] = [];
  private byteFallback = false;
  private stripped = '';
  private stripCount = 0;

  constructor(steps: readonly DecoderStep[]) {
    let isFused = false;
    for (const step of steps) {
      if (step.type === 'Replace') this.ofToken.push(replacer(step.pattern.String, step.content));
      if (step.type === 'ByteFallback') this.byteFallback = true;
      if (step.type === 'Fuse') isFused = true;
      if (step.type !== 'Strip') continue;
      if (!isFused) this.ofToken.push((text) => strippedOf(text, step.content, step.start));
      else [this.stripped, this.stripCount] = [step.content, step.start];
    }
  }

  pieceOf(token: string): Piece {
    const most = mostLength(token.length);
    const text = this.ofToken.reduce((result, step) => step(result, most), token);
    if (this.byteFallback && /^<0x[0-9A-Fa-f]{2}>$/.test(text)) return Number.parseInt(text.slice(3, 5), 16);
    return text;
  }

  /** The whole text. A run of bytes that is not valid UTF-8 becomes one U+FFFD a byte. */
  decode(pieces: readonly Piece[]): string {
    const strip = this.stripper();
    let text = '';
    let run: number[] = [];
    for (const piece of pieces) {
      if (typeof piece === 'number') {
        run.push(piece);
        continue;
      }
      text += textOfRun(run) + piece;
      run = [];
    }
    return strip(text + textOfRun(run));
  }

  byteLengths(pieces: readonly Piece[]): number[] {
    const strip = this.stripper();
    return pieces.map((piece) =>
      typeof piece === 'number'
        ? Buffer.byteLength(strip(String.fromCharCode(piece)), 'latin1')
        : Buffer.byteLength(strip(piece)),
    );
  }

  incremental() {
    const bytes = new TextDecoder('utf-8', { ignoreBOM: true });
    let strip = this.stripper();
    return {
      push: (piece: Piece) => {
        if (typeof piece === 'number') return strip(bytes.decode(Uint8Array.of(piece), { stream: true }));
        return strip(bytes.decode() + piece);
      },
      end: () => {
        const rest = strip(bytes.decode());
        strip = this.stripper();
        return rest;
      },
    };
  }

  /** Takes the stripped character away from the start of a text that arrives in parts. */
  private stripper(): (part: string) => string {
    let left = this.stripCount;
    return (part) => {
      while (left > 0 && part !== '') {
        if (!part.startsWith(this.stripped)) {
          left = 0;
          break;
        }
        part = part.slice(this.stripped.length);
        left--;
      }
      return part;
    };
  }
}

const replacer = (pattern: string, content: string) => (text: string, most: number) =>
  replacedAll('tokenizer.json: decoder', text, { pattern, content }, most);

/** Without the character at its start, so many times at most. */
function strippedOf(text: string, character: string, times: number): string {
  let result = text;
  for (let left = times; left > 0 && result.startsWith(character); left--) {
    result = result.slice(character.length);
  }
  return result;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOfRun(bytes: readonly number[]): string {
  if (bytes.length === 0) return '';
  try {
    return strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}
