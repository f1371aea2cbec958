/**
 * The alphabet of byte-level vocabularies: a character for each byte, itself where it is visible in Latin-1, the other
 * 68 from U+0100 on.
 */
const isVisible = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);

let hidden = 0x100;
/** The character of each byte. */
export const charOfByte = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(isVisible(byte) ? byte : hidden++),
);

const END = hidden;
const byteByChar = new Int16Array(END).fill(-1);
charOfByte.forEach((char, byte) => {
  byteByChar[char.charCodeAt(0)] = byte;
});

/** Writes the bytes that a token stands for to `out` and returns how many; -1 for one with other characters. */
export function writeBytes(token: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    const byte = code < END ? byteByChar[code]! : -1;
    if (byte < 0) return -1;
    out[at + i] = byte;
  }
  return token.length;
}

const encoder = new TextEncoder();

/** Strings one after the other in UTF-8, or as the bytes that tokens stand for. */
export class PackedStrings {
  private all = new Uint8Array(1 << 16);
  private end = 0;
  private readonly byteLevel: boolean;

  constructor(byteLevel: boolean) {
    this.byteLevel = byteLevel;
  }

  /** The bytes of all strings, and some behind them. */
  get bytes(): Uint8Array {
    return this.all.subarray(0, this.end + 16);
  }

  /** Returns the bytes of the string; -1 for one that stands for none, which is left out. */
  add(text: string): number {
    const needed = this.end + 3 * text.length + 16;
    if (needed > this.all.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this.all);
      this.all = larger;
    }
    const length = this.byteLevel
      ? writeBytes(text, this.all, this.end)
      : encoder.encodeInto(text, this.all.subarray(this.end)).written;
    if (length > 0) this.end += length;
    return length;
  }
}
