import { contentOf } from './content.js';
import { exampleOfJson } from './records.js';
import { SeparatorSplitter, slicesOf } from './splitter.js';
import { type Reader, textItems } from './text.js';

/** One JSON object a line. */
export const readJsonl: Reader = ({ chunks, compression }, start, { textColumn }) => {
  const content = contentOf(chunks, compression, start);
  const slices = slicesOf(content, new SeparatorSplitter('\n'), start);
  return textItems(slices, start, (json) => exampleOfJson(json, textColumn));
};
