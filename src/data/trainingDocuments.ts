import { chosenExamples, type ExampleChoice } from './chooseExamples.js';
import type { DocumentSource } from './documents.js';
import { holdOut } from './holdOut.js';

/** What of a text is trained on. */
export interface TrainingPart {
  /** Share of the text that is held out; 0 for none. */
  readonly evalFraction: number;
  /** Of the rest, the documents to train on. Default: all. */
  readonly examples?: ExampleChoice | undefined;
}

/** The documents to train on: what is held out is taken first. @throws InputError as `holdOut` does */
export async function trainingDocuments(
  documents: DocumentSource,
  { evalFraction, examples }: TrainingPart,
): Promise<DocumentSource> {
  const training = evalFraction > 0 ? (await holdOut(documents, evalFraction)).training : documents;
  return examples ? chosenExamples(training, examples) : training;
}
