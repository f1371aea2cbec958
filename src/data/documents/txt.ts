import { contentOf } from './content.js';
import { SeparatorSplitter, slicesOf } from './splitter.js';
import { type Reader, textItems } from './text.js';

/** A text file: one document, or those between separators, whose line breaks, \n, are also found as \r\n. */
export const readTxt: Reader = ({ chunks, compression }, start, { separator }) => {
  const content = contentOf(chunks, compression, start);
  const slices = slicesOf(content, new SeparatorSplitter(formsOf(separator)), start);
  return textItems(slices, start, (text) => text);
};

const formsOf = (separator: string | undefined): Set<string> =>
  new Set(separator ? [separator, separator.replace(/(?<!\r)\n/g, '\r\n')] : []);
