import { Problem } from '../documents/problems.js';
import type { Conversation, Message } from '../examples.js';
import { type Prompt, promptOf } from './generationPrompt.js';
import type { Span } from './span.js';
import type { ChatTemplate, Rendered } from './template.js';

/**
 * The text of a conversation, and what the assistant writes of it, the end of its turns included:
 * - of a template with generation blocks, what is in them;
 * - otherwise, of each of its turns, what the template wrote for it in the text as it stands, behind what a generation
 *   is prompted with. What the text ends with belongs to the last turn.
 * Turns that are given, or say that they are not to be learned, do not count.
 * @throws Problem when there is no turn to learn, or it can't be told which part of the text is a turn's
 */
export function assistantSpans(
  template: ChatTemplate,
  conversation: Conversation,
): { readonly text: string; readonly spans: readonly Span[] } {
  const { messages, given = 0 } = conversation;
  const learned = messages.flatMap((message, i) => (i >= given && isLearned(message) ? [i] : []));
  if (learned.length === 0) {
    throw new Problem(
      'expected a turn of the assistant to learn, found none; delete the record, or use --loss-on all',
    );
  }
  const rendered = template.renderTurns(conversation);
  const { text, generations, turns } = rendered;
  if (generations) return { text, spans: generationsOf(messages, learned, rendered) };
  if (!turns || !learned.some((turn) => turns.has(turn))) {
    return { text, spans: addedSpans(template, conversation, learned, text) };
  }
  const prompt = promptOf(template, conversation, { text, turns });
  const spans = learned.flatMap((turn) => {
    const written = turns.get(turn);
    return written ? [turnSpan(turn, written, rendered, prompt, messages.length)] : [];
  });
  return { text, spans };
}

function turnSpan(turn: number, written: Span, { text }: Rendered, prompt: Prompt, count: number): Span {
  const start = written.start + prompt.lengthIn(turn, written);
  return { start, end: turn + 1 === count ? text.length : written.end };
}

/** Of all generation blocks those of turns that are learned. */
function generationsOf(
  messages: readonly Message[],
  learned: readonly number[],
  { generations = [], turns }: Rendered,
): readonly Span[] {
  const assistants = messages.flatMap((message, i) => (isAssistant(message) ? [i] : []));
  if (assistants.length === learned.length) return generations;
  const others = assistants.filter((turn) => !learned.includes(turn));
  if (turns && assistants.every((turn) => turns.has(turn))) {
    const isWithin = ({ start, end }: Span, turn: number) =>
      start >= turns.get(turn)!.start && end <= turns.get(turn)!.end;
    return generations.filter((span) => !others.some((turn) => isWithin(span, turn)));
  }
  if (generations.length === assistants.length) {
    return generations.filter((_, i) => learned.includes(assistants[i]!));
  }
  throw new Problem(
    `expected a generation block for each of ${assistants.length} turns of the assistant, of which some are not to be ` +
      `learned, found ${generations.length}; mend the chat template, or use --loss-on all`,
  );
}

/**
 * Of a template that does not loop over the turns: what each turn adds to the text of those before it and the prompt for
 * a generation.
 */
function addedSpans(
  template: ChatTemplate,
  conversation: Conversation,
  learned: readonly number[],
  text: string,
): Span[] {
  const { messages } = conversation;
  const part = (turns: number, prompt: boolean) =>
    renderedOrNot(template, { ...conversation, messages: messages.slice(0, turns) }, prompt);
  return learned.map((turn) => {
    const before = part(turn, true);
    const after = turn + 1 === messages.length ? text : part(turn + 1, false);
    const isRefused = before === undefined || after === undefined;
    if (!isRefused && after.startsWith(before) && text.startsWith(after)) {
      return { start: before.length, end: after.length };
    }
    throw new Problem(
      `turn ${turn + 1}: expected a chat template that writes the turns one after the other, found one that ` +
        `${isRefused ? 'takes several together' : 'writes them in more than one place'}; use a --chat-template with ` +
        'generation tags, or --loss-on all',
    );
  });
}

/** Undefined for a part of a conversation that the template does not take. */
function renderedOrNot(
  template: ChatTemplate,
  conversation: Conversation,
  prompt: boolean,
): string | undefined {
  try {
    return template.render(conversation, prompt);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

const isAssistant = ({ role }: Message): boolean => role === 'assistant';

/** Weights are 0 or 1, as numbers of any kind. */
const isLearned = (message: Message): boolean =>
  isAssistant(message) && message.train !== false && !isZero(message.weight);

const isZero = (weight: unknown): boolean => weight !== undefined && weight !== null && Number(weight) === 0;
