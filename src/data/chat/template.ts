import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { excerpt, InputError } from '../../base/errors.js';
import { Problem } from '../documents/problems.js';
import type { Conversation } from '../examples.js';
import type { ChatTemplateSource } from './source.js';
import { callStrips, STRIP_FUNCTIONS } from './strip.js';

/** Characters [start, end) of a text, in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

type Program = ReturnType<typeof parse>;

const GENERATION = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;
/** Names no template uses. */
const [BEGIN, END] = ['rivulet_generation_begin', 'rivulet_generation_end'];

/**
 * Renders conversations as transformers does: with messages, tools, the special tokens, `add_generation_prompt` and
 * `raise_exception`; a block takes the line break after it and the indentation before it. `strftime_now` is left
 * undefined on purpose: a conversation gives the same bytes on any day, and templates fall back to a fixed date.
 */
export class ChatTemplate {
  /** Whether `{% generation %}` says what the model is to write. */
  readonly hasGenerations: boolean;
  readonly #programs: ReadonlyMap<string, Program>;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /** @throws InputError for a template that can't be parsed */
  constructor({ path, templates, specialTokens }: ChatTemplateSource) {
    const used = Object.entries(templates).filter(([name]) => name === 'default' || name === 'tool_use');
    this.hasGenerations = used.every(([, template]) => template.search(GENERATION) >= 0);
    this.#programs = new Map(used.map(([name, template]) => [name, parsed(template, path)]));
    this.#specialTokens = specialTokens;
  }

  /**
   * @param generationPrompt end with what the assistant's turn begins with
   * @throws Problem when the template raises an exception, or can't be evaluated
   */
  render(conversation: Conversation, generationPrompt: boolean): string {
    return this.#render(conversation, generationPrompt, ['', '']);
  }

  /** The text of a conversation, and what of it lies in generation blocks. @throws Problem */
  renderWithGenerations(conversation: Conversation): { readonly text: string; readonly spans: Span[] } {
    const text = this.render(conversation, false);
    const marks = freshMarks(text);
    const marked = this.#render(conversation, false, marks);
    const { unmarked, spans } = spansBetween(marked, marks);
    if (unmarked === text) return { text, spans };
    throw new Problem(
      'expected generation blocks that do not change the text, found another text with them; ' +
        'mend the chat template, or use --loss-on all',
    );
  }

  #render(
    { messages, tools }: Conversation,
    generationPrompt: boolean,
    [begin, end]: readonly [string, string],
  ): string {
    const program = (tools && this.#programs.get('tool_use')) ?? this.#programs.get('default')!;
    const variables = {
      ...GLOBALS,
      ...this.#specialTokens,
      ...{ messages, tools: tools ?? null, documents: null, add_generation_prompt: generationPrompt },
      ...{ [BEGIN]: begin, [END]: end },
    };
    try {
      const environment = new Environment();
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      return (new Interpreter(environment).run(program) as { value: string }).value;
    } catch (error) {
      const reason = excerpt((error as Error).message);
      throw new Problem(
        `expected a conversation that the chat template takes, found that it says ${reason}; ` +
          'mend the conversation, or give another --chat-template',
      );
    }
  }
}

/** Generation tags as blocks that print a mark, with the same control of white space. */
function parsed(template: string, path: string): Program {
  const marked = template.replaceAll(
    GENERATION,
    (_, before: string, isEnd: string | undefined, after: string) =>
      `{%${before} if true %}{{ ${isEnd ? END : BEGIN} }}{% endif ${after}%}`,
  );
  try {
    const program = parse(tokenize(marked, { lstrip_blocks: true, trim_blocks: true }));
    callStrips(program);
    return program;
  } catch (error) {
    throw new InputError(
      `${path}: expected a chat template in Jinja, found ${excerpt((error as Error).message)}; give another --chat-template`,
    );
  }
}

const [FIRST_PRIVATE, LAST_PRIVATE] = [0xe000, 0xf8ff];

/** Two characters that a text does not hold. */
function freshMarks(text: string): [string, string] {
  const marks: string[] = [];
  for (let code = FIRST_PRIVATE; code <= LAST_PRIVATE; code++) {
    const mark = String.fromCharCode(code);
    if (!text.includes(mark)) marks.push(mark);
    if (marks.length === 2) return [marks[0]!, marks[1]!];
  }
  throw new Problem('expected text, found every character of private use; mend the conversation');
}

function spansBetween(marked: string, [begin, end]: readonly [string, string]) {
  const parts = marked.split(new RegExp(`([${begin}${end}])`));
  const spans: Span[] = [];
  let unmarked = '';
  let start = -1;
  for (const part of parts) {
    if (part !== begin && part !== end) unmarked += part;
    else if ((part === begin) !== start < 0) throw unpaired();
    else if (part === begin) start = unmarked.length;
    else {
      spans.push({ start, end: unmarked.length });
      start = -1;
    }
  }
  if (start >= 0) throw unpaired();
  return { unmarked, spans };
}

const unpaired = (): Problem =>
  new Problem('expected pairs of generation and endgeneration, found others; mend the chat template');

const MOST_NUMBERS = 2 ** 20;

/** `range(stop)`, `range(start, stop)` or `range(start, stop, step)`. */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MOST_NUMBERS)) throw new Error(`a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => from + i * step);
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  range,
  ...STRIP_FUNCTIONS,
};
