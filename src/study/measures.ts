import { InputError } from '../base/errors.js';
import type { Row } from '../data/packing/rows.js';
import { loadTokenizer } from '../data/tokenizer.js';
import { loadModel, type Model } from '../inference/model.js';
import type { ModelOptions } from '../inference/options.js';
import { readModelConfig } from '../model/config.js';
import { findEvaluationText } from '../prepare/evaluationText.js';
import { exactMatch, longestExample, readExamples } from './measures/examples.js';
import { textLoss } from './measures/heldOut.js';

/** A model folder, with the folder of an adapter or without. */
export interface Subject {
  readonly model: string;
  readonly adapter?: string | undefined;
}

/** What is to be measured; what is absent is not. docs/measures.md defines each. */
export interface Wanted {
  /** Held-out text, in rows of `sequence` slots: `nll` and `bits_per_byte`. */
  readonly heldOut?: readonly Row[] | undefined;
  /** A text of another kind than what is trained on, a path as for `evaluate`: `unrelated_nll`, and `forgetting`. */
  readonly unrelated?: string | undefined;
  /** Prompts with completions, a path by name: `exact_match.NAME`. */
  readonly examples?: Readonly<Record<string, string>> | undefined;
}

export interface MeasureOptions {
  /** Where it runs. */
  readonly loading?: Pick<ModelOptions, 'device' | 'kernels' | 'tune' | 'threads'>;
  readonly signal?: AbortSignal;
  /** Tokens of a window of text. */
  readonly sequence: number;
  /** What the same measures of the bare model came to: `forgetting` is the rise of `unrelated_nll` from there. */
  readonly bare?: Readonly<Record<string, number>> | undefined;
}

/**
 * Measures of a model, by the names of `CellRecord.measures`. Students, teachers and bare models are all measured by it.
 * @throws InputError for a model, adapter or file that is not there or does not fit; RunError when the signal says stop
 */
export async function measure(
  subject: Subject,
  wanted: Wanted,
  options: MeasureOptions,
): Promise<Record<string, number>> {
  const texts = await measureTexts(subject, wanted, options);
  const matches = await measureExamples(subject, wanted.examples ?? {}, options);
  const before = options.bare?.unrelated_nll;
  const after = texts.unrelated_nll;
  const forgetting = before === undefined || after === undefined ? {} : { forgetting: after - before };
  return { ...texts, ...forgetting, ...matches };
}

/** As `evaluate` reads a text unless told otherwise. */
const READING = {
  lossOn: 'assistant',
  onBadDocument: 'stop',
  bos: 'auto',
  ...{
    textColumn: undefined,
    idsTokenizer: undefined,
    chatTemplate: undefined,
    separator: undefined,
    qmsum: undefined,
  },
} as const;

async function measureTexts(
  subject: Subject,
  { heldOut, unrelated: path }: Wanted,
  options: MeasureOptions,
): Promise<Record<string, number>> {
  if (!heldOut && path === undefined) return {};
  const { sequence, signal } = options;
  const unrelated =
    path === undefined ? undefined : await findEvaluationText({ ...READING, perplexity: path });
  return withModel(subject, sequence, options, async (model) => {
    const held = heldOut ? await textLoss(model, heldOut, signal) : {};
    if (!unrelated) return { ...held };
    const source = { tokenizer: model.tokenizer, folder: subject.model, name: subject.model };
    const { nll } = await textLoss(model, await unrelated.rows(source, { sequence }), signal);
    return { ...held, unrelated_nll: nll };
  });
}

async function measureExamples(
  subject: Subject,
  paths: Readonly<Record<string, string>>,
  options: MeasureOptions,
): Promise<Record<string, number>> {
  const tokenizer = await loadTokenizer(subject.model);
  const sets = await Promise.all(
    Object.entries(paths).map(async ([name, path]) => [name, await readExamples(path, tokenizer)] as const),
  );
  if (sets.length === 0) return {};
  for (const [name, examples] of sets) checkLengths(paths[name]!, longestExample(examples), subject);
  const sequence = longestExample(sets.flatMap(([, examples]) => examples));
  return withModel(subject, sequence, options, async (model) => {
    const shares: Record<string, number> = {};
    for (const [name, examples] of sets) {
      shares[`exact_match.${name}`] = await exactMatch(model, examples, options.signal);
    }
    return shares;
  });
}

/** @throws InputError for examples that are longer than the model or its attention reaches */
function checkLengths(path: string, longest: number, { model }: Subject): void {
  const { maxPositions, slidingWindow = maxPositions } = readModelConfig(model);
  const most = Math.min(maxPositions, slidingWindow);
  if (longest <= most) return;
  throw new InputError(
    `${path}: expected examples of at most ${most + 1} tokens, as far as ${model} reaches, found one of ${longest + 1}; ` +
      'shorten its prompt',
  );
}

async function withModel<T>(
  { model: folder, adapter }: Subject,
  sequence: number,
  { loading, signal }: MeasureOptions,
  work: (model: Model) => Promise<T>,
): Promise<T> {
  const choices = { ...loading, ...(adapter !== undefined && { adapter }), ...(signal && { signal }) };
  const model = await loadModel(folder, { ...choices, sequence });
  try {
    return await work(model);
  } finally {
    await model.close();
  }
}
