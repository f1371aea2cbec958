import { hashOfTemplate, readChatTemplate } from './data/chat/source.js';
import { BadDocument, type DocumentOptions, openDocuments, type Place } from './data/documents.js';
import { type EncodingOptions, noTemplate } from './data/encoding.js';
import type { Example } from './data/examples.js';
import { InputError } from './errors.js';
import { readRunFile } from './formats/runFolder.js';
import type { TextPaths } from './locateText.js';
import type { TrainOptions } from './options.js';

/** How the text of a run is read. */
export type TextOptions = Pick<DocumentOptions, 'paths' | 'textColumn' | 'separator'> & {
  readonly onBad: 'stop' | 'skip';
};

export function textOptions(options: TrainOptions, paths: readonly string[]): TextOptions {
  const { textColumn, separator, onBadDocument: onBad } = options;
  return { paths, textColumn, onBad, separator: separator?.replaceAll('\\n', '\n') };
}

export interface TextPreparation {
  readonly encoding: EncodingOptions;
  /** What a resumed run's template has to be; undefined without one. */
  readonly chatTemplate: string | undefined;
}

/**
 * Opens the text of a run and finds its chat template; where there is none, the first document says whether one is
 * needed. All before anything is written.
 * @param folder of the student
 * @throws InputError when the text can't be opened, when it begins with a conversation and there is no chat template, or
 * when the template of a resumed run changed
 */
export async function prepareText(
  options: TrainOptions,
  { data, evalData }: TextPaths,
  { folder, out, from }: { folder: string; out: string; from: Place | undefined },
): Promise<TextPreparation> {
  const source = readChatTemplate(folder, options.chatTemplate);
  const chatTemplate = source && hashOfTemplate(source);
  const before = options.resume ? readRunFile(out) : undefined;
  if (before && before.chatTemplate !== chatTemplate) {
    throw new InputError(
      '--resume: expected the chat template and special tokens that the run began with, found others ' +
        `(${source?.path ?? 'none'}); restore them, or start a new run`,
    );
  }
  await checkFirst(textOptions(options, data), source !== undefined, from);
  if (evalData) await checkFirst(textOptions(options, evalData), source !== undefined);
  const { eos, lossOn } = options;
  return { encoding: { eos, lossOn, chatTemplate: source }, chatTemplate };
}

async function checkFirst(text: TextOptions, hasTemplate: boolean, from?: Place): Promise<void> {
  const documents = await openDocuments({ ...text, from });
  if (hasTemplate) return;
  for await (const item of documents.read(from)) {
    if (item instanceof BadDocument) continue;
    if (isConversation(item.example)) throw new InputError(`${item.id}: ${noTemplate().message}`);
    return;
  }
}

const isConversation = (example: Example): boolean => typeof example !== 'string' && 'messages' in example;
