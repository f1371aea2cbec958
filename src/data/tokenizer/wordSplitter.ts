import { isMainThread } from 'node:worker_threads';
import { excerpt } from '../../base/errors.js';
import { warnOnce } from '../../base/warnings.js';
import { matchedInTime } from './bounds.js';
import type { PreTokenizerStep } from './file.js';
import { findMatches, toRegExp } from './oniguruma.js';
import { classSource, digitRanges, WHITE_SPACE_SOURCE, WORD_CLASS } from './unicode.js';

/**
 * Cuts a text into the words that the model sees, by JavaScript's regular expressions: the general and slower way.
 * `isFirst`: it begins the document. ByteLevel leaves characters as they are; the model sees their bytes.
 */
export type WordSplitter = (text: string, isFirst: boolean) => string[];

type StepOf<T extends PreTokenizerStep['type']> = Extract<PreTokenizerStep, { type: T }>;
type Behavior = StepOf<'Split'>['behavior'];

/** [start, end) and whether the pattern matches there; all spans of a text cover it. */
type Span = readonly [start: number, end: number, isMatch: boolean];
type Cut = (text: string) => Span[];

export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** Cuts, or changes, pieces of a text. */
type Stage = (pieces: readonly Part[]) => Part[];

/** A piece of a text, and whether it begins the document. */
interface Part {
  readonly text: string;
  readonly isFirst: boolean;
}

/**
 * ByteLevel comes last if at all, Metaspace once.
 * @throws InputError that begins with `where` for a pattern that is not supported
 */
export function compileWordSplitter(where: string, steps: readonly PreTokenizerStep[]): WordSplitter {
  const stages = steps.map((step) => compileStage(where, step));
  sayOnce(where, steps);
  const split: WordSplitter = (text, isFirst) =>
    stages
      .reduce<readonly Part[]>((pieces, stage) => stage(pieces), [{ text, isFirst }])
      .map((part) => part.text);
  const patterns = steps.flatMap((step) =>
    step.type === 'Split' && 'Regex' in step.pattern ? step.pattern.Regex : [],
  );
  if (patterns.length === 0) return split;
  const source = patterns.join(' and ');
  return (text, isFirst) => matchedInTime(where, source, text, () => split(text, isFirst));
}

function compileStage(where: string, step: PreTokenizerStep): Stage {
  if (step.type === 'ByteLevel' || step.type === 'Metaspace') {
    const change = step.type === 'ByteLevel' ? byteLevel(where, step) : metaspace(step);
    return (pieces) =>
      pieces.flatMap(({ text, isFirst }) =>
        change(text, isFirst).map((part, i): Part => ({ text: part, isFirst: isFirst && i === 0 })),
      );
  }
  const cut = compileCut(where, step);
  return (pieces) =>
    pieces.flatMap(({ text, isFirst }) =>
      cut(text).map(([from, to]): Part => ({ text: text.slice(from, to), isFirst: isFirst && from === 0 })),
    );
}

/** Other threads load the same tokenizer. */
function sayOnce(where: string, steps: readonly PreTokenizerStep[]): void {
  if (!isMainThread) return;
  const split = steps.find((step) => step.type === 'Split')?.pattern ?? steps.map((step) => step.type);
  warnOnce(
    `${where}: no fast way to split is known for ${excerpt(split)}; a slower one is used`,
    JSON.stringify(steps),
  );
}

function compileCut(where: string, step: Exclude<PreTokenizerStep, StepOf<'ByteLevel' | 'Metaspace'>>): Cut {
  switch (step.type) {
    case 'Split': {
      const match =
        'String' in step.pattern ? literal(step.pattern.String) : regex(step.pattern.Regex, where);
      return cutAt(match, step.behavior, step.invert);
    }
    case 'Digits':
      return cutAt(
        new RegExp(`[${classSource(digitRanges())}]`, 'gu'),
        step.individual_digits ? 'Isolated' : 'Contiguous',
      );
    case 'WhitespaceSplit':
      return cutAt(new RegExp(`[${WHITE_SPACE_SOURCE}]`, 'gu'), 'Removed');
    case 'Whitespace':
      return cutAt(
        new RegExp(`${WORD_CLASS}+|[^${WHITE_SPACE_SOURCE}${WORD_CLASS.slice(1)}+`, 'gu'),
        'Removed',
        true,
      );
  }
}

function regex(source: string, where: string): RegExp {
  return toRegExp(source, `${where}.pattern`);
}

function literal(text: string): RegExp {
  return new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'gu');
}

function cutAt(pattern: RegExp, behavior: Behavior, invert = false): Cut {
  return (text) => {
    const spans: Span[] = [];
    let done = 0;
    for (const [start, end] of findMatches(pattern, text)) {
      if (done < start) spans.push([done, start, invert]);
      spans.push([start, end, !invert]);
      done = end;
    }
    if (done < text.length) spans.push([done, text.length, invert]);
    return behave(spans, behavior).filter(([start, end]) => start < end);
  };
}

/** What becomes of matches; the others in between are kept. */
function behave(spans: readonly Span[], behavior: Behavior): Span[] {
  switch (behavior) {
    case 'Isolated':
      return [...spans];
    case 'Removed':
      return spans.filter(([, , isMatch]) => !isMatch);
    case 'Contiguous':
      return joinWhere(spans, (isMatch, wasMatch) => isMatch === wasMatch);
    case 'MergedWithPrevious':
      return joinWhere(spans, (isMatch, wasMatch) => isMatch && !wasMatch);
    case 'MergedWithNext':
      return mirrored(joinWhere(mirrored(spans), (isMatch, wasMatch) => isMatch && !wasMatch));
  }
}

/** Joins a span to the one before it; nothing comes before the first, and that counts as no match. */
function joinWhere(spans: readonly Span[], joins: (isMatch: boolean, wasMatch: boolean) => boolean): Span[] {
  const joined: Span[] = [];
  let wasMatch = false;
  for (const [start, end, isMatch] of spans) {
    const before = joined.at(-1);
    if (before !== undefined && joins(isMatch, wasMatch)) joined[joined.length - 1] = [before[0], end, false];
    else joined.push([start, end, false]);
    wasMatch = isMatch;
  }
  return joined;
}

/** The same spans as seen from the end of the text. */
function mirrored(spans: readonly Span[]): Span[] {
  return spans.map(([start, end, isMatch]): Span => [-end, -start, isMatch]).reverse();
}

function texts(text: string, spans: readonly Span[]): string[] {
  return spans.map(([start, end]) => text.slice(start, end));
}

function byteLevel(where: string, { add_prefix_space, use_regex }: StepOf<'ByteLevel'>): WordSplitter {
  const cut = use_regex ? cutAt(regex(GPT2_PATTERN, where), 'Isolated') : undefined;
  return (text) => {
    const prefixed = add_prefix_space && !text.startsWith(' ') ? ` ${text}` : text;
    return cut === undefined ? [prefixed] : texts(prefixed, cut(prefixed));
  };
}

function metaspace({ prepend_scheme, split }: StepOf<'Metaspace'>): WordSplitter {
  const cut = cutAt(/▁/g, 'MergedWithNext');
  return (text, isFirst) => {
    let replaced = text.replaceAll(' ', '▁');
    const prepends = prepend_scheme === 'always' || (prepend_scheme === 'first' && isFirst);
    if (prepends && !replaced.startsWith('▁')) replaced = `▁${replaced}`;
    return split ? texts(replaced, cut(replaced)) : [replaced];
  };
}
