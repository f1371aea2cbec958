/**
 * The alphabet of byte-level vocabularies: a character for each byte, itself where it is visible in Latin-1, the other
 * 68 from U+0100 on.
 */
const isVisible = (byte: number) =>
  (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);

let hidden = 0x100;
/** The character of each byte. */
export const charOfByte = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(isVisible(byte) ? byte : hidden++),
);

const LAST = hidden;
const byteByChar = new Int16Array(LAST).fill(-1);
charOfByte.forEach((char, byte) => {
  byteByChar[char.charCodeAt(0)] = byte;
});

/** Writes the bytes that a token stands for to `out` and returns how many; -1 for one with other characters. */
export function writeBytes(token: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    const byte = code < LAST ? byteByChar[code]! : -1;
    if (byte < 0) return -1;
    out[at + i] = byte;
  }
  return token.length;
}
