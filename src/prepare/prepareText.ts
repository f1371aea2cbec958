import { InputError } from '../base/errors.js';
import { hashOfTemplate, readChatTemplate } from '../data/chat/source.js';
import { BadDocument, type DocumentSource, type Place } from '../data/documents.js';
import { type Bos, type EncodingOptions, noTemplate } from '../data/encoding.js';
import type { Example } from '../data/examples.js';
import type { Encoder } from '../data/shards/fingerprint.js';
import type { RunFile } from '../formats/runFile.js';
import type { TrainOptions } from '../options/train.js';

export interface TextPreparation {
  readonly encoding: EncodingOptions;
  /** What a resumed run's template has to be; undefined without one. */
  readonly chatTemplate: string | undefined;
}

/** The text of a run, and where it will be read from (default: its start). */
interface Text {
  readonly documents: DocumentSource;
  readonly from?: Place | undefined;
}

/** What token shards have to be made with. @param folder of the model, and its name for messages */
export function encoderOf(
  {
    bos,
    eos,
    qmsum,
    chatTemplate,
  }: Partial<Pick<TrainOptions, 'qmsum' | 'chatTemplate'>> & Pick<TrainOptions, 'bos' | 'eos'>,
  { folder, ...model }: Pick<Encoder, 'tokenizer' | 'name'> & { readonly folder: string },
): Encoder {
  const said = chatTemplate === undefined ? undefined : readChatTemplate(folder, chatTemplate);
  return { ...model, bos, eos, qmsum, chatTemplate: said };
}

/**
 * Finds the chat template of a run; where there is none, the first documents say whether one is needed. Before anything
 * is written.
 * @param folder of the student
 * @throws InputError when a text begins with a conversation and there is no chat template, or when the template of a
 * resumed run changed
 */
export async function prepareText(
  options: Pick<TrainOptions, 'chatTemplate' | 'eos' | 'lossOn' | 'qmsum' | 'resume'>,
  { folder, bos }: { readonly folder: string; readonly bos: Bos },
  before: RunFile | undefined,
  texts: readonly Text[],
): Promise<TextPreparation> {
  const source = readChatTemplate(folder, options.chatTemplate);
  const chatTemplate = source && hashOfTemplate(source);
  if (before && before.chatTemplate !== chatTemplate) {
    throw new InputError(
      `${options.resume ? '--resume' : '--fork'}: expected the chat template and special tokens that the run began with, found others ` +
        `(${source?.path ?? 'none'}); restore them, or start a new run`,
    );
  }
  if (!source) for (const text of texts) await refuseConversations(text, options);
  const { eos, lossOn, qmsum } = options;
  return { encoding: { bos, eos, lossOn, chatTemplate: source, qmsum }, chatTemplate };
}

type Reading = Pick<TrainOptions, 'qmsum'>;

async function refuseConversations({ documents, from }: Text, { qmsum }: Reading): Promise<void> {
  for await (const item of documents.read(from)) {
    if (item instanceof BadDocument) continue;
    if (isConversation(item.example, qmsum)) throw new InputError(`${item.id}: ${noTemplate().message}`);
    return;
  }
}

/** Queries about meetings may be asked in one. */
const isConversation = (example: Example, qmsum: Reading['qmsum']): boolean =>
  typeof example !== 'string' && ('messages' in example || ('query' in example && qmsum?.prompt === 'chat'));
