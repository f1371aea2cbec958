import { InputError } from '../../base/errors.js';
import type { NormalizerStep, PreTokenizerStep } from './file.js';
import { compileWordSplitter, GPT2_PATTERN, type WordSplitter } from './wordSplitter.js';

/** How the WASM code splits texts into words; the numbers of assembly/tokenizer/split.ts. */
export const WAYS = {
  whole: 0,
  metaRuns: 1,
  metaspace: 2,
  gpt2: 3,
  gpt2Digit: 4,
  gpt2Digits: 5,
  qwen2: 6,
  cl100k: 7,
} as const;

type Way = (typeof WAYS)[keyof typeof WAYS];

export interface SplitPlan {
  /** The model sees bytes, as characters of the byte-level alphabet. */
  readonly byteLevel: boolean;
  /** Spaces become "▁" first. */
  readonly metaspace: boolean;
  /** What a text that begins otherwise gets in front: each one, or only the first piece of a document. */
  readonly prefix?: { readonly text: ' ' | '▁'; readonly firstOnly: boolean };
  /** A known way, or how to cut the text into pieces with JavaScript. */
  readonly split: Way | WordSplitter;
}

/** Known patterns by their text; the variants with possessive quantifiers match the same. */
const PATTERNS: Readonly<Record<string, Way>> = {
  [GPT2_PATTERN]: WAYS.gpt2,
  "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+": WAYS.gpt2,
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    WAYS.qwen2,
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+":
    WAYS.cl100k,
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+":
    WAYS.cl100k,
};

/**
 * Plans the pre-tokenizers of a `tokenizer.json`.
 * @throws InputError that begins with `path` for an order or a pattern that is not supported
 */
export function planSplit(
  path: string,
  steps: readonly PreTokenizerStep[],
  normalizer: readonly NormalizerStep[],
): SplitPlan {
  const where = `${path}: pre_tokenizer`;
  if (steps.slice(0, -1).some((step) => step.type === 'ByteLevel')) {
    throw new InputError(`${where}: expected ByteLevel last, found it earlier`);
  }
  const last = steps.at(-1);
  const [metaspace, another] = steps.filter((step) => step.type === 'Metaspace');
  if (another) throw new InputError(`${where}: expected Metaspace once, found it twice`);
  const removes = normalizer.find(
    (step) => step.type === 'Strip' || (step.type === 'Replace' && !step.content),
  );
  if (removes !== undefined && metaspace?.prepend_scheme === 'first') {
    // The library asks where in the document a text began, before anything was removed.
    throw new InputError(
      `${where}: expected no ${removes.type} beside Metaspace with prepend_scheme "first", found one`,
    );
  }
  const byteLevel = last?.type === 'ByteLevel';
  const known = knownPlan(steps);
  if (known !== undefined) return { byteLevel, metaspace: last?.type === 'Metaspace', ...known };
  return { byteLevel, metaspace: false, split: compileWordSplitter(where, steps) };
}

/** A plan for the WASM code, undefined where there is none. */
function knownPlan(steps: readonly PreTokenizerStep[]): Pick<SplitPlan, 'split' | 'prefix'> | undefined {
  if (steps.length > 2) return undefined;
  const [first, second] = steps;
  if (first === undefined) return { split: WAYS.whole };
  if (second !== undefined && (second.type !== 'ByteLevel' || second.add_prefix_space)) return undefined;
  const split = waysOf(first, second?.use_regex ?? false);
  if (split === undefined) return undefined;
  if (first.type === 'ByteLevel' && first.add_prefix_space) {
    return { split, prefix: { text: ' ', firstOnly: false } };
  }
  if (first.type !== 'Metaspace' || first.prepend_scheme === 'never') return { split };
  return { split, prefix: { text: '▁', firstOnly: first.prepend_scheme === 'first' } };
}

function waysOf(step: PreTokenizerStep, thenGpt2: boolean): Way | undefined {
  if (step.type === 'Digits') {
    if (!thenGpt2) return undefined;
    return step.individual_digits ? WAYS.gpt2Digit : WAYS.gpt2Digits;
  }
  if (thenGpt2) return undefined;
  if (step.type === 'ByteLevel') return step.use_regex ? WAYS.gpt2 : WAYS.whole;
  if (step.type === 'Metaspace') return step.split ? WAYS.metaspace : WAYS.whole;
  if (step.type !== 'Split' || !('Regex' in step.pattern)) return undefined;
  // Known patterns match all of a text, so these are the same.
  const keepsMatches = step.behavior === 'Isolated' || (step.behavior === 'Removed' && step.invert);
  return keepsMatches ? PATTERNS[step.pattern.Regex] : undefined;
}
