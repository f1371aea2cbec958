import { Problem } from '../documents/problems.js';
import type { Conversation } from '../examples.js';
import type { ChatTemplate, Span } from './template.js';

/**
 * The text of a conversation, and what the assistant writes of it, the end of its turns included: what is in generation
 * blocks where the template has them; otherwise, for each of its turns, what the turn adds to the text of the turns
 * before it and the prompt for a generation. Nothing of the turns that are given counts.
 * @throws Problem when no turn is the assistant's, or the text of a turn depends on those after it
 */
export function assistantSpans(
  template: ChatTemplate,
  conversation: Conversation,
): { readonly text: string; readonly spans: readonly Span[] } {
  const { messages, given = 0 } = conversation;
  if (!messages.slice(given).some(isAssistant)) {
    throw new Problem(
      'expected a turn of the assistant to learn, found none; delete the record, or use --loss-on all',
    );
  }
  const part = (turns: number, prompt: boolean) =>
    template.render({ ...conversation, messages: messages.slice(0, turns) }, prompt);
  if (template.hasGenerations) {
    const { text, spans } = template.renderWithGenerations(conversation);
    const before = given > 0 ? part(given, isAssistant(messages[given]!)) : '';
    if (!text.startsWith(before)) throw rewritten(given);
    return { text, spans: spans.filter(({ end }) => end > before.length) };
  }
  const text = template.render(conversation, false);
  const spans = messages.flatMap((message, i) => {
    if (i < given || !isAssistant(message)) return [];
    const before = part(i, true);
    const after = i + 1 === messages.length ? text : part(i + 1, false);
    if (after.startsWith(before) && text.startsWith(after)) {
      return [{ start: before.length, end: after.length }];
    }
    throw rewritten(i + 1);
  });
  return { text, spans };
}

const rewritten = (turn: number): Problem =>
  new Problem(
    `turn ${turn}: expected a chat template that only adds to the text of the turns before, found one that ` +
      'rewrites it; use a --chat-template with generation tags, or --loss-on all',
  );

const isAssistant = ({ role }: { readonly role: string }): boolean => role === 'assistant';
