import { Problem } from '../documents/problems.js';
import type { Conversation } from '../examples.js';
import type { Span } from './span.js';
import type { ChatTemplate, Rendered } from './template.js';

/** What a model is given of its turn before it writes: `<|im_start|>assistant` and a line break, or nothing. */
export interface Prompt {
  /** How much of what was written for a turn of the assistant it is. */
  readonly lengthIn: (turn: number, written: Span) => number;
}

/** Where a prompt goes on to what a model thinks: that belongs to its turn, as earlier turns have it or have it not. */
const THOUGHTS = /<\/?think>.*$/s;

type Located = Pick<Rendered, 'text'> & { readonly turns: ReadonlyMap<number, Span> };

/**
 * The prompt of a template, from the conversation up to the last turn of the assistant.
 * @throws Problem where it can't be told from the text before it
 */
export function promptOf(
  template: ChatTemplate,
  conversation: Conversation,
  { text, turns }: Located,
): Prompt {
  const prompt = promptText(template, conversation, { text, turns }).replace(THOUGHTS, '');
  let headers: ReadonlyMap<number, string> | undefined;
  const lengthIn = (turn: number, { start, end }: Span): number => {
    const written = text.slice(start, end);
    if (written.startsWith(prompt)) return prompt.length;
    if (text.slice(0, start).endsWith(prompt)) return 0;
    headers ??= headersOf(template, conversation);
    const header = headers.get(turn);
    // A turn may begin in another way: after the result of a function, or as a thought.
    const isKnown = header !== undefined && written.startsWith(header);
    return isKnown ? header.length : commonLength(prompt, written);
  };
  return { lengthIn };
}

function promptText(template: ChatTemplate, conversation: Conversation, { text, turns }: Located): string {
  const last = lastAnswer(conversation);
  const before = { ...conversation, messages: conversation.messages.slice(0, last) };
  const start = turns.get(last)?.start;
  const prompted = last > 0 ? attempt(() => template.renderTurns(before, true)) : undefined;
  if (prompted && start !== undefined && prompted.text.startsWith(text.slice(0, start))) {
    return prompted.text.slice(start);
  }
  const plain = prompted ? attempt(() => template.render(before, false)) : text;
  const found = prompted ?? template.renderTurns(conversation, true);
  if (plain !== undefined && found.text.startsWith(plain)) return found.text.slice(plain.length);
  const ends = [...(found.turns?.values() ?? [])].map(({ end }) => end);
  if (ends.length > 0) return found.text.slice(ends.reduce((last, end) => Math.max(last, end)));
  throw new Problem(
    'expected a chat template whose generation prompt comes after the turns, found one with another text before it; ' +
      'use a --chat-template with generation tags, or --loss-on all',
  );
}

/** The last turn of the assistant that answers a user: what it goes on with after a function may need no prompt. */
function lastAnswer({ messages }: Conversation): number {
  const isAnswer = (i: number) => messages[i]!.role === 'assistant' && messages[i - 1]?.role === 'user';
  const answer = messages.findLastIndex((_, i) => isAnswer(i));
  return answer >= 0 ? answer : messages.findLastIndex(({ role }) => role === 'assistant');
}

/** Some templates take no conversation that ends before the assistant speaks. */
function attempt<T>(render: () => T): T | undefined {
  try {
    return render();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** What each turn of the assistant begins with, whatever it says: what is the same for two other contents. */
function headersOf(template: ChatTemplate, conversation: Conversation): ReadonlyMap<number, string> {
  const [a, b] = ['a', 'b'].map((content) => {
    const messages = conversation.messages.map((message) =>
      message.role === 'assistant' && typeof message.content === 'string' ? { ...message, content } : message,
    );
    return attempt(() => template.renderTurns({ ...conversation, messages }));
  });
  const headers = new Map<number, string>();
  for (const [turn, span] of a?.turns ?? []) {
    const other = b?.turns?.get(turn);
    if (!a || !b || !other) continue;
    const [first, second] = [a.text.slice(span.start, span.end), b.text.slice(other.start, other.end)];
    if (first !== second) headers.set(turn, first.slice(0, commonLength(first, second)));
  }
  return headers;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
