import { excerpt, InputError } from '../../base/errors.js';
import { Problem } from '../documents/problems.js';
import type { Conversation, Message } from '../examples.js';
import { TemplateError } from './jinja/errors.js';
import { fromJson } from './jinja/fromJson.js';
import type { Marks } from './jinja/renderer.js';
import { Template } from './jinja/template.js';
import { Dict, type Value } from './jinja/values.js';
import { freshMarks, type Marked, type MarkSet, parseMarks } from './marks.js';
import type { ChatTemplateSource } from './source.js';
import type { Span } from './span.js';

/** A conversation as it is written, and where in the text its parts are. */
export interface Rendered {
  readonly text: string;
  /** What generation blocks wrote; undefined for a template that has none. */
  readonly generations: readonly Span[] | undefined;
  /** By number of turn, what the template wrote in its loop over the turns; undefined where that can't be told. */
  readonly turns: ReadonlyMap<number, Span> | undefined;
}

/**
 * Renders conversations as transformers does: with messages, tools, the special tokens, `add_generation_prompt`, and
 * Python's Jinja2. The one exception is `strftime_now`, which always tells the same day.
 */
export class ChatTemplate {
  readonly #templates: ReadonlyMap<string, Template>;
  readonly #specialTokens: readonly (readonly [string, Value])[];

  /** @throws InputError for a template that can't be parsed */
  constructor({ path, templates, specialTokens }: ChatTemplateSource) {
    const used = Object.entries(templates).filter(([name]) => name === 'default' || name === 'tool_use');
    this.#templates = new Map(used.map(([name, template]) => [name, parsed(template, path)]));
    this.#specialTokens = Object.entries(specialTokens);
  }

  /**
   * @param generationPrompt end with what the assistant's turn begins with
   * @throws Problem when the template raises an exception, or can't be evaluated
   */
  render(conversation: Conversation, generationPrompt: boolean): string {
    return this.#render(valuesOf(conversation), generationPrompt);
  }

  /** The text of a conversation, what of it lies in generation blocks, and which turn wrote what. @throws Problem */
  renderTurns(conversation: Conversation, generationPrompt = false): Rendered {
    const values = valuesOf(conversation);
    const text = this.#render(values, generationPrompt);
    const marks = freshMarks(text);
    const marked = this.#marked(values, generationPrompt, marks, text, true);
    if (marked) return { text, ...marked };
    // What a template does with a text it has captured may depend on marks in it: on those of turns it need not.
    const again = this.#marked(values, generationPrompt, marks, text, false);
    if (again) return { text, generations: again.generations, turns: undefined };
    throw new Problem(
      'expected generation blocks that do not change the text, found another text with them; ' +
        'mend the chat template, or use --loss-on all',
    );
  }

  /** Undefined where the marks change the text. */
  #marked(
    values: Values,
    generationPrompt: boolean,
    marks: MarkSet,
    text: string,
    withTurns: boolean,
  ): Marked | undefined {
    const template = this.#templateFor(values);
    const turns = new Map(values.messages.map((message, i) => [message as Value, marks.turn(i)] as const));
    const marked = this.#render(values, generationPrompt, {
      ...(template.hasGenerations && { generation: marks.generation }),
      ...(withTurns && { item: (item: Value) => turns.get(item) }),
    });
    const found = parseMarks(marked, marks, template.hasGenerations);
    return found.unmarked === text ? found : undefined;
  }

  #templateFor({ tools }: Values): Template {
    return (tools === null ? undefined : this.#templates.get('tool_use')) ?? this.#templates.get('default')!;
  }

  #render(values: Values, generationPrompt: boolean, marks?: Marks): string {
    const variables: (readonly [string, Value])[] = [
      ...this.#specialTokens,
      ['messages', values.messages],
      ['tools', values.tools],
      ['documents', null],
      ['add_generation_prompt', generationPrompt],
    ];
    try {
      return this.#templateFor(values).render(variables, marks);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw new Problem(
        `expected a conversation that the chat template takes, found that it says ${excerpt(error.message)}; ` +
          'mend the conversation, or give another --chat-template',
      );
    }
  }
}

function parsed(template: string, path: string): Template {
  try {
    return new Template(template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new InputError(
      `${path}: expected a chat template in Jinja, found ${excerpt(error.message)}; give another --chat-template`,
    );
  }
}

/** A conversation in Python's values. */
interface Values {
  readonly messages: Value[];
  readonly tools: Value;
}

const valuesOf = ({ messages, tools }: Conversation): Values => ({
  messages: messages.map(messageValue),
  tools: tools ? fromJson(tools) : null,
});

/** Names of what a model thought before it said something; transformers reads any of them. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'];
/** Fields that say nothing where they are null, as tables have them: they are left out, as transformers leaves them out. */
const OPTIONAL = [
  'tool_calls',
  'tool_call_id',
  'function_call',
  'name',
  'refusal',
  'audio',
  'annotations',
  ...REASONING,
];

function messageValue(message: Message): Value {
  const fields = fromJson(message) as Dict;
  const kept = [...fields.entries()].filter(
    ([name, value]) => value !== null || !OPTIONAL.includes(name as string),
  );
  const reasoning = REASONING.map((name) => fields.get(name)).find(
    (value) => value !== undefined && value !== null,
  );
  if (reasoning === undefined) return new Dict(kept);
  return new Dict([['thinking', reasoning], ...kept, ['reasoning_content', reasoning]]);
}
