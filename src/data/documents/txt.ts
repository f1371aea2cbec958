import { contentOf } from './content.js';
import { SeparatorSplitter, slicesOf } from './splitter.js';
import { type Reader, textItems } from './text.js';

/** A text file: one document, or those between separators. */
export const readTxt: Reader = ({ chunks, compression }, start, { separator }) => {
  const content = contentOf(chunks, compression, start);
  const slices = slicesOf(content, new SeparatorSplitter(separator), start);
  return textItems(slices, start, (text) => text);
};
