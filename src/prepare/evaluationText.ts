import { statSync } from 'node:fs';
import { readChatTemplate } from '../data/chat/source.js';
import { formatOf } from '../data/documents/formats.js';
import { readWhole } from '../data/documents/wholeText.js';
import { type DocumentSource, openDocuments } from '../data/documents.js';
import { createEncode } from '../data/encoding.js';
import type { Row } from '../data/packing.js';
import type { Tokenizer } from '../data/tokenizer.js';
import { type WindowOptions, windowsOf } from '../evaluation/windows.js';
import { isRemote } from '../hub/address.js';
import type { EvaluateOptions } from '../options/evaluate.js';
import { textOptions } from './locateText.js';
import { encoderOf } from './prepareText.js';

/** How text to evaluate on is read: as `train` reads its text. */
export type EvaluationTextOptions = Pick<
  EvaluateOptions,
  'textColumn' | 'idsTokenizer' | 'chatTemplate' | 'lossOn' | 'separator' | 'qmsum' | 'onBadDocument' | 'bos'
> & { readonly perplexity: string };

/** Text that was found and is to be scored by some model. */
export interface FoundText {
  /** Rows of windows of its documents. @param folder of the model @throws InputError */
  rows(
    model: { readonly tokenizer: Tokenizer; readonly folder: string; readonly name: string },
    options: Pick<WindowOptions, 'sequence' | 'onDocument'>,
  ): Promise<AsyncIterable<Row>>;
}

/**
 * Finds the text at a path, before a model is loaded for it. A `.txt` file, and one of no known kind, is one document;
 * what else train reads becomes the documents that it holds.
 * @throws InputError when there is none, or it is no text
 */
export async function findEvaluationText(options: EvaluationTextOptions): Promise<FoundText> {
  const { perplexity: path, onBadDocument: onBad, bos, lossOn, qmsum } = options;
  const whole = isOneDocument(options) ? oneDocument(path, readWhole(path, 'a text file')) : undefined;
  const reading = textOptions(options, [path]);
  // What is on the Hub is found once the model is there: listing it takes time.
  if (!whole && !isRemote(path)) await openDocuments(reading);
  return {
    async rows({ tokenizer, folder, name }, { sequence, onDocument }) {
      const model = { tokenizer, folder, name };
      const documents =
        whole ?? (await openDocuments({ ...reading, encoder: encoderOf({ ...options, eos: false }, model) }));
      const chatTemplate = whole ? undefined : readChatTemplate(folder, options.chatTemplate);
      const encode = createEncode(tokenizer, { bos, eos: false, lossOn, chatTemplate, qmsum });
      return windowsOf(documents, encode, { sequence, onBad, ...(onDocument && { onDocument }) });
    },
  };
}

function isOneDocument({ perplexity: path, separator }: EvaluationTextOptions): boolean {
  if (isRemote(path) || !statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  const format = formatOf(path);
  if (format === undefined) return true;
  return format.name === 'txt' && format.compression === 'none' && separator === undefined;
}

function oneDocument(id: string, example: string): DocumentSource {
  const place = { files: [], sources: [], taken: [] };
  return {
    start: place,
    async *read() {
      yield { id, example, place, number: [0, 0, 0], pass: 0 };
      return place;
    },
  };
}
