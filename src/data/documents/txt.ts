import { contentOf } from './content.js';
import { piecesOf, SeparatorSplitter } from './pieces.js';
import { type Reader, textItems } from './text.js';

/** A text file: one document, or those between separators. */
export const readTxt: Reader = ({ chunks, compression }, start, { separator }) => {
  const content = contentOf(chunks, compression, start);
  const pieces = piecesOf(content, new SeparatorSplitter(separator), start);
  return textItems(pieces, start, (text) => text);
};
