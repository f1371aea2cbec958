import { Problem } from '../documents/problems.js';
import type { Conversation } from '../examples.js';
import type { ChatTemplate, Span } from './template.js';

/**
 * The text of a conversation, and what the assistant writes of it, the end of its turns included: what is in generation
 * blocks where the template has them; otherwise, for each of its turns, what the turn adds to the text of the turns
 * before it and the prompt for a generation.
 * @throws Problem when no turn is the assistant's, or the text of a turn depends on those after it
 */
export function assistantSpans(
  template: ChatTemplate,
  conversation: Conversation,
): { readonly text: string; readonly spans: readonly Span[] } {
  const { messages } = conversation;
  if (!messages.some(isAssistant)) {
    throw new Problem(
      'expected a turn of the assistant to learn, found none; delete the record, or use --loss-on all',
    );
  }
  if (template.hasGenerations) return template.renderWithGenerations(conversation);
  const text = template.render(conversation, false);
  const spans = messages.flatMap((message, i) => {
    if (!isAssistant(message)) return [];
    const part = (turns: number, prompt: boolean) =>
      template.render({ ...conversation, messages: messages.slice(0, turns) }, prompt);
    const before = part(i, true);
    const after = i + 1 === messages.length ? text : part(i + 1, false);
    if (after.startsWith(before) && text.startsWith(after)) {
      return [{ start: before.length, end: after.length }];
    }
    throw new Problem(
      `turn ${i + 1}: expected a chat template that only adds to the text of the turns before, found one that ` +
        'rewrites it; use a --chat-template with generation tags, or --loss-on all',
    );
  });
  return { text, spans };
}

const isAssistant = ({ role }: { readonly role: string }): boolean => role === 'assistant';
