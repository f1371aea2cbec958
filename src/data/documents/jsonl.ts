import { contentOf } from './content.js';
import { piecesOf, SeparatorSplitter } from './pieces.js';
import { exampleOfJson } from './records.js';
import { type Reader, textItems } from './text.js';

/** One JSON object a line. */
export const readJsonl: Reader = ({ chunks, compression }, start, { textColumn }) => {
  const content = contentOf(chunks, compression, start);
  const pieces = piecesOf(content, new SeparatorSplitter('\n'), start);
  return textItems(pieces, start, (json) => exampleOfJson(json, textColumn));
};
