import { excerpt } from '../../base/errors.js';
import type { Conversation, Message } from '../examples.js';
import { Problem } from './problems.js';

/** @throws Problem with the number of the turn, from 1, that is none */
export function conversationOf(
  messages: readonly unknown[],
  tools?: readonly unknown[] | undefined,
): Conversation {
  if (messages.length === 0) throw new Problem('expected messages, found an empty list; delete the record');
  messages.forEach((message, i) => {
    const problem = isDeep(message)
      ? `fewer than ${MOST_LEVELS} levels of values in one another`
      : problemOf(message);
    if (problem !== undefined) throw new Problem(`turn ${i + 1}: expected ${problem}; mend the record`);
  });
  return { messages: messages as readonly Message[], ...(tools && { tools }) };
}

const MOST_LEVELS = 100;

/** Deeper ones would exhaust the stack of whoever walks them. */
function isDeep(value: unknown, levels = MOST_LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeep(part, levels - 1));
}

/** Functions: a list, or one as JSON in a text, which is how a table with one type a column can hold it. */
export function toolsOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined || value === null) return undefined;
  const tools = typeof value === 'string' ? parsed(value) : value;
  if (!Array.isArray(tools) || isDeep(tools)) {
    throw new Problem(`expected a list of functions in tools, found ${excerpt(value)}; mend the record`);
  }
  return tools.length > 0 ? tools : undefined;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function problemOf(message: unknown): string | undefined {
  if (!isObject(message)) return `an object with role and content, found ${excerpt(message)}`;
  const { role, content, tool_calls: calls } = message;
  if (typeof role !== 'string') return `a text as role, found ${excerpt(role)}`;
  if (typeof content === 'string') return undefined;
  if (content === undefined || content === null) {
    return Array.isArray(calls) && calls.length > 0
      ? undefined
      : 'content or tool_calls, found neither of them';
  }
  if (Array.isArray(content) && content.every((part) => isObject(part) && typeof part.type === 'string')) {
    return undefined;
  }
  return `a text or a list of parts with a type as content, found ${excerpt(content)}`;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
