import { mostLength, replacedAll } from './bounds.js';
import type { DecoderStep } from './file.js';
import type { PieceDecoder } from './pieceDecoder.js';

/** What a token becomes: text, or one byte of a character. */
type Piece = string | number;

/** Replace, ByteFallback, Fuse, Strip. */
export class SentencePieceDecoder implements PieceDecoder<Piece> {
  private readonly replacements: { readonly pattern: string; readonly content: string }[] = [];
  private byteFallback = false;
  private stripped = '';
  private stripCount = 0;

  constructor(steps: readonly DecoderStep[]) {
    for (const step of steps) {
      if (step.type === 'Replace') {
        this.replacements.push({ pattern: step.pattern.String, content: step.content });
      }
      if (step.type === 'ByteFallback') this.byteFallback = true;
      if (step.type === 'Strip') {
        this.stripped = step.content;
        this.stripCount = step.start;
      }
    }
  }

  pieceOf(token: string): Piece {
    let text = token;
    const most = mostLength(token.length);
    for (const step of this.replacements) text = replacedAll('tokenizer.json: decoder', text, step, most);
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

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOfRun(bytes: readonly number[]): string {
  if (bytes.length === 0) return '';
  try {
    return strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}
