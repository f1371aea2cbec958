import { Problem } from '../documents/problems.js';
import type { Span } from './span.js';

/** Texts that a template is made to write around parts of its own, to find them in what it wrote. */
export interface MarkSet {
  readonly generation: readonly [begin: string, end: string];
  readonly turn: (number: number) => readonly [begin: string, end: string];
  /** Splits a text at the marks, and keeps them. */
  readonly pattern: RegExp;
}

/** What marks say. */
export interface Marked {
  readonly unmarked: string;
  readonly generations: readonly Span[] | undefined;
  readonly turns: ReadonlyMap<number, Span> | undefined;
}

const [FIRST_PRIVATE, LAST_PRIVATE] = [0xe000, 0xf8ff];
const MARKS = 4;

/** Marks of characters that a text does not hold. @throws Problem where it holds all there are */
export function freshMarks(text: string): MarkSet {
  const found: string[] = [];
  for (let code = FIRST_PRIVATE; code <= LAST_PRIVATE && found.length < MARKS; code++) {
    const mark = String.fromCharCode(code);
    if (!text.includes(mark)) found.push(mark);
  }
  if (found.length < MARKS) {
    throw new Problem('expected text, found every character of private use; mend the conversation');
  }
  const [begin, end, turnBegin, turnEnd] = found as [string, string, string, string];
  return {
    generation: [begin, end],
    turn: (number) => [`${turnBegin}${number}${turnBegin}`, turnEnd],
    pattern: new RegExp(`([${begin}${end}${turnEnd}]|${turnBegin}\\d+${turnBegin})`),
  };
}

/** @param hasGenerations whether the template has generation blocks at all */
export function parseMarks(marked: string, marks: MarkSet, hasGenerations: boolean): Marked {
  const [begin, end] = marks.generation;
  const turnEnd = marks.turn(0)[1];
  const generations: Span[] = [];
  const turns = new TurnSpans();
  let unmarked = '';
  let start: number | undefined;
  for (const part of marked.split(marks.pattern)) {
    if (part === begin) start = unmarked.length;
    else if (part === end) {
      if (start !== undefined) generations.push({ start, end: unmarked.length });
      start = undefined;
    } else if (part === turnEnd) turns.end(unmarked.length);
    else if (part.length > 2 && part[0] === part.at(-1) && part[0] === marks.turn(0)[0][0]) {
      turns.begin(Number(part.slice(1, -1)), unmarked.length);
    } else unmarked += part;
  }
  return { unmarked, generations: hasGenerations ? generations : undefined, turns: turns.found };
}

/** Collects what each turn wrote: one span a turn, in one another nowhere, in order. */
class TurnSpans {
  readonly #spans = new Map<number, Span>();
  #open: { readonly turn: number; readonly start: number } | undefined;
  #isAmbiguous = false;

  begin(turn: number, start: number): void {
    if (this.#open) this.#isAmbiguous = true;
    this.#open = { turn, start };
  }

  end(end: number): void {
    if (!this.#open) {
      this.#isAmbiguous = true;
      return;
    }
    const { turn, start } = this.#open;
    this.#open = undefined;
    const before = this.#spans.get(turn);
    if (before && before.end !== start) this.#isAmbiguous = true;
    this.#spans.set(turn, { start: before?.start ?? start, end });
  }

  /** Undefined where a turn wrote in more than one place, or in that of another. */
  get found(): ReadonlyMap<number, Span> | undefined {
    return this.#isAmbiguous || this.#open ? undefined : this.#spans;
  }
}
