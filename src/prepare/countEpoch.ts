import type { DocumentSource } from '../data/documents.js';
import { createEncode, type EncodingOptions } from '../data/encoding.js';
import { blockRowsOf, type Packing, RowStream } from '../data/packing.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { type TrainingPart, trainingDocuments } from '../data/trainingDocuments.js';
import type { TrainOptions } from '../options/train.js';
import type { ProgressRecord } from '../records.js';

export interface EpochSetting extends TrainingPart {
  readonly documents: DocumentSource;
  readonly tokenizer: Tokenizer;
  readonly encoding: EncodingOptions;
  readonly packing: Packing;
}

/** Between two records of progress. */
const RECORD_MS = 100;

/**
 * Steps of `--epochs`: all text to train on is read, tokenized and packed once, as the run will do it. Of a stream, rows
 * are counted by what fills them, since the next epoch goes on in the last one; of best-fit, as they are.
 * @param emit is told how far it is
 */
export async function stepsOfEpochs(
  options: TrainOptions,
  { tokenizer, encoding, packing, ...setting }: EpochSetting,
  emit: (record: ProgressRecord) => void,
): Promise<number> {
  const { sequence, batch, longDocuments, onBadDocument: onBad } = options;
  const training = await trainingDocuments(setting.documents, setting);
  const blockRows = options.shuffleRows ?? blockRowsOf(sequence);
  const packed = { sequence, packing, longDocuments, blockRows, seed: 0, repeat: false, onBad };
  const stream = new RowStream(training, createEncode(tokenizer, encoding), packed);
  let [rows, tokens, told] = [0, 0, 0];
  const tell = () => emit({ type: 'progress', doing: 'counting the text', done: tokens, unit: 'tokens' });
  for (let row = await stream.next(); row; row = await stream.next()) {
    rows++;
    tokens += row.filled;
    const now = performance.now();
    if (now - told < RECORD_MS) continue;
    told = now;
    tell();
    // Signals are looked at between the documents, too.
    await new Promise(setImmediate);
  }
  tell();
  const inEpoch = packing === 'stream' ? tokens / sequence : rows;
  return Math.max(1, Math.ceil((options.epochs! * inEpoch) / batch));
}
