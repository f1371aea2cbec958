import { InputError } from '../base/errors.js';
import { type DocumentOptions, openDocuments } from '../data/documents.js';
import { createEncode, type EncodingOptions } from '../data/encoding.js';
import { holdOut } from '../data/holdOut.js';
import type { Row } from '../data/packing.js';
import { sharedTokenizer } from '../data/tokenizer/shared.js';
import { windowsOf } from './windows.js';

export interface TextOptions {
  readonly paths: readonly string[];
  readonly textColumn?: string | undefined;
  readonly idsTokenizer?: string | undefined;
  readonly separator?: string | undefined;
  readonly qmsum?: DocumentOptions['qmsum'];
  readonly onBad: 'stop' | 'skip';
}

export interface EvaluationText {
  readonly tokenizer: string;
  readonly text: TextOptions;
  /** Evaluate on this share of the text, held out of training; 0: on all of it. */
  readonly evalFraction: number;
  readonly encoding: EncodingOptions;
  readonly sequence: number;
  /** The most tokens to read. */
  readonly tokens: number;
}

/** Rows of windows of the evaluation text, as many as `tokens` allows; short ones share a row. */
export async function evaluationWindows(options: EvaluationText): Promise<Row[]> {
  const { sequence, evalFraction, encoding } = options;
  const encode = createEncode(await sharedTokenizer(options.tokenizer), encoding);
  const documents = await openDocuments(options.text);
  const source = evalFraction > 0 ? (await holdOut(documents, evalFraction)).evaluation : documents;
  const { onBad } = options.text;
  const rows: Row[] = [];
  for await (const row of windowsOf(source, encode, { sequence, onBad, tokens: options.tokens }))
    rows.push(row);
  if (rows.length === 0) {
    throw new InputError(
      `expected text to evaluate on, found nothing to predict within --sequence ${sequence} tokens; give more, or raise it`,
    );
  }
  return rows;
}
