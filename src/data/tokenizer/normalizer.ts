import { checkGrowth, matchedInTime, mostLength, replacedAll } from './bounds.js';
import type { NormalizerStep } from './file.js';
import { findMatches, toRegExp } from './oniguruma.js';
import { isWhiteSpace, normalizeForm } from './unicode.js';

/** A step that the WASM code does on bytes. */
export type ByteStep =
  | { readonly type: 'Prepend'; readonly prepend: string }
  | { readonly type: 'Replace'; readonly pattern: string; readonly content: string };

export interface NormalizerPlan {
  /** The steps that need strings, and what comes before the last of them; undefined where there is none. */
  readonly onString?: (text: string) => string;
  /** The steps after these. */
  readonly onBytes: readonly ByteStep[];
}

/** Plans the steps of a `tokenizer.json`; throws an InputError that begins with `path` for an unsupported pattern. */
export function planNormalizer(path: string, steps: readonly NormalizerStep[]): NormalizerPlan {
  const byteSteps = steps.map(asByteStep);
  const tail = byteSteps.lastIndexOf(undefined) + 1;
  const onBytes = byteSteps.slice(tail).filter((step) => step !== undefined);
  if (tail === 0) return { onBytes };
  const head = steps.slice(0, tail).map((step, i) => compile(step, `${path}: normalizer.${i}`));
  return {
    onBytes,
    onString(text) {
      const most = mostLength(text.length);
      return head.reduce((result, step, i) => {
        const next = step(result, most);
        checkGrowth(`${path}: normalizer.${i}`, next.length, most);
        return next;
      }, text);
    },
  };
}

/** @param most that the text may become */
type StringStep = (text: string, most: number) => string;

function asByteStep(step: NormalizerStep): ByteStep | undefined {
  if (step.type === 'Prepend') return step;
  if (step.type !== 'Replace' || !('String' in step.pattern)) return undefined;
  return { ...step, pattern: step.pattern.String };
}

function compile(step: NormalizerStep, where: string): StringStep {
  switch (step.type) {
    case 'NFC':
    case 'NFKC':
      return (text) => normalizeForm(text, step.type);
    case 'Lowercase':
      return lowercase;
    case 'Strip':
      return (text) => strip(text, step.strip_left, step.strip_right);
    case 'Prepend':
      return (text) => (text === '' ? '' : step.prepend + text);
    case 'Replace':
      return replace(step.pattern, step.content, where);
  }
}

/** Each character on its own: no final sigma. */
function lowercase(text: string): string {
  return text.replaceAll('Σ', 'σ').toLowerCase();
}

function strip(text: string, left: boolean, right: boolean): string {
  let start = 0;
  let end = text.length;
  while (left && start < end && isWhiteSpace(text.charCodeAt(start))) start++;
  while (right && end > start && isWhiteSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function replace(
  pattern: { String: string } | { Regex: string },
  content: string,
  where: string,
): StringStep {
  if ('String' in pattern) {
    return (text, most) => replacedAll(where, text, { pattern: pattern.String, content }, most);
  }
  const regex = toRegExp(pattern.Regex, `${where}.pattern`);
  return (text, most) => {
    const matches = matchedInTime(where, pattern.Regex, text, () => [...findMatches(regex, text)]);
    let result = '';
    let done = 0;
    for (const [start, end] of matches) {
      result += text.slice(done, start) + content;
      checkGrowth(where, result.length, most);
      done = end;
    }
    return result + text.slice(done);
  };
}
