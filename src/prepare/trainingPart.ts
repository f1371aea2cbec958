import { chooseExamples } from '../data/chooseExamples.js';
import type { DocumentSource } from '../data/documents.js';
import { type TrainingPart, trainingDocuments } from '../data/trainingDocuments.js';
import type { TrainOptions } from '../options/train.js';
import type { ProgressRecord } from '../records.js';

/** Between two records of progress. */
const RECORD_MS = 100;

/**
 * What of a run's text is trained on. It is read as far as that takes before anything is written, so that too little of it
 * is refused.
 * @param emit is told how far it is, and may throw to end it
 * @throws InputError as `trainingDocuments` and `chooseExamples` do
 */
export async function trainingPart(
  { evalData, evalFraction: share, examples: count, seed }: TrainOptions,
  documents: DocumentSource,
  emit: (record: ProgressRecord) => void,
): Promise<TrainingPart> {
  const evalFraction = evalData === undefined ? share : 0;
  const training = await trainingDocuments(documents, { evalFraction });
  if (!count) return { evalFraction };
  let told = 0;
  const onFound = async (done: number) => {
    const now = performance.now();
    if (now - told < RECORD_MS) return;
    told = now;
    emit({ type: 'progress', doing: 'choosing examples', done, unit: 'documents' });
    // Signals are looked at between the documents, too.
    await new Promise(setImmediate);
  };
  return { evalFraction, examples: await chooseExamples(training, count, seed, { onFound }) };
}
