import { contentOf } from './content.js';
import { examplesOfJson } from './meetings.js';
import { SeparatorSplitter, slicesOf } from './splitter.js';
import { type Reader, textItems } from './text.js';

/** One JSON object a line. */
export const readJsonl: Reader = ({ chunks, compression }, start, options) => {
  const content = contentOf(chunks, compression, start);
  const slices = slicesOf(content, new SeparatorSplitter(['\n']), start);
  return textItems(slices, start, (json) => examplesOfJson(json, options));
};
