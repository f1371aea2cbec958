import { broken, PageReader } from './encodings.js';

/** Types of the compact protocol. */
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];
const MOST_LEVELS = 32;

/**
 * Walks over a structure in Thrift's compact protocol, so that a parser that believes its lengths may read it after.
 * @throws Problem where it is cut, nested too deeply, or lists more than its bytes can hold
 */
export function checkThrift(bytes: Buffer): void {
  skipStruct(new PageReader(bytes), 0);
}

function skipStruct(reader: PageReader, level: number): void {
  if (level > MOST_LEVELS) throw broken('structures nested too deeply');
  for (;;) {
    const [byte] = reader.take(1);
    if ((byte! & 15) === 0) return;
    if (byte! >> 4 === 0) reader.varint();
    skipValue(reader, byte! & 15, level);
  }
}

function skipValue(reader: PageReader, type: number, level: number): void {
  if (type === TRUE || type === FALSE) return;
  if (type === BYTE) reader.take(1);
  else if (type === I16 || type === I32) reader.varint();
  else if (type === I64) skipLong(reader);
  else if (type === DOUBLE) reader.take(8);
  else if (type === BINARY) reader.take(reader.varint());
  else if (type === LIST) skipList(reader, level + 1);
  else if (type === STRUCT) skipStruct(reader, level + 1);
  else throw broken(`a value of type ${type}`);
}

function skipList(reader: PageReader, level: number): void {
  const [byte] = reader.take(1);
  const size = byte! >> 4 === 15 ? reader.varint() : byte! >> 4;
  if (size > reader.bytes.length - reader.at) throw broken('a list longer than its bytes');
  const type = byte! & 15;
  for (let i = 0; i < size; i++) skipValue(reader, type === TRUE || type === FALSE ? BYTE : type, level);
}

function skipLong(reader: PageReader): void {
  for (let i = 0; i < 10; i++) if (reader.take(1)[0]! < 128) return;
  throw broken('a number that is too long');
}
