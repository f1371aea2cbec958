import { oneLine } from '../base/errors.js';
import { calling, quoted } from '../base/invocation.js';
import type { Corpus, PackedRows } from '../library/tokenize.js';
import type { TokenizeInput } from '../options/tokenize.js';

const whole = (value: number): string => value.toLocaleString('en');
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** A line for each thing to know. */
export function corpusText({ model, bos = 'auto', eos }: TokenizeInput, corpus: Corpus): string {
  const { packing, longest, length, shards, skipped } = corpus;
  const { sequence, stream, bestFit, longerDocuments } = packing;
  const rowsOf = ({ rows, efficiency }: PackedRows) => `${whole(rows)} rows, ${percent(efficiency)} full`;
  const lines = [
    `documents  ${whole(corpus.documents)}${skipped > 0 ? `; ${whole(skipped)} that could not be read, or have nothing to learn in a row` : ''}`,
    `tokens     ${whole(corpus.tokens)} of ${whole(corpus.bytes)} bytes: ${corpus.bytesPerToken.toFixed(3)} bytes per token`,
    `length     median ${whole(length.median)}, 90 % up to ${whole(length.p90)}, 99 % up to ${whole(length.p99)} tokens`,
    `longest    ${whole(longest.tokens)} tokens: ${oneLine(longest.document)}`,
    `packing    in rows of ${whole(sequence)} tokens: stream ${rowsOf(stream)}; best-fit ${rowsOf(bestFit)}`,
    `           ${percent(longerDocuments)} of the documents are longer than a row`,
    `speed      ${whole(Math.round(corpus.tokensPerSecond))} tokens/s (${corpus.seconds.toFixed(1)} s)`,
  ];
  if (shards) {
    lines.push(
      `shards     ${whole(shards.files)} in ${shards.folder}; to train on them:`,
      `  ${calling('train')} --student ${quoted(model)} --data ${quoted(shards.folder)}${bos === 'auto' ? '' : ` --bos ${bos}`}${eos ? ' --eos' : ''}`,
    );
  }
  return lines.join('\n');
}
