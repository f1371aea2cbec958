import { excerpt } from '../../base/errors.js';
import type { Conversation, Message } from '../examples.js';
import { ExactNumber, isDeep, MOST_LEVELS, parseExactly } from './exactJson.js';
import { Problem } from './problems.js';
import { withRoles } from './sharegpt.js';

/** @throws Problem with the number of the turn, from 1, that is none */
export function conversationOf(
  turns: readonly unknown[],
  tools?: readonly unknown[] | undefined,
): Conversation {
  const messages = withRoles(turns);
  if (messages.length === 0) throw new Problem('expected messages, found an empty list; delete the record');
  messages.forEach((message, i) => {
    const problem = isDeep(message)
      ? `fewer than ${MOST_LEVELS} levels of values in one another`
      : problemOf(message);
    if (problem !== undefined) throw new Problem(`turn ${i + 1}: expected ${problem}; mend the record`);
  });
  return { messages: messages as readonly Message[], ...(tools && { tools }) };
}

/** Functions: a list, or one as JSON in a text, which is how a table with one type a column can hold it; empty for none. */
export function toolsOf(value: unknown): readonly unknown[] | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const tools = typeof value === 'string' ? parsed(value) : value;
  if (!Array.isArray(tools) || isDeep(tools)) {
    throw new Problem(`expected a list of functions in tools, found ${excerpt(value)}; mend the record`);
  }
  return tools.length > 0 ? tools : undefined;
}

function parsed(json: string): unknown {
  try {
    return parseExactly(json, JSON.parse(json));
  } catch {
    return undefined;
  }
}

function problemOf(message: unknown): string | undefined {
  if (!isObject(message)) return `an object with role and content, found ${excerpt(message)}`;
  const { role, content, tool_calls: calls, weight, train } = message;
  if (!isFlag(weight)) return `0 or 1 as weight, found ${excerpt(weight)}`;
  if (train !== undefined && train !== null && typeof train !== 'boolean') {
    return `true or false as train, found ${excerpt(train)}`;
  }
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

/** Whether a turn is learned; turns say so in one of several ways. */
const isFlag = (weight: unknown): boolean =>
  weight === undefined ||
  weight === null ||
  ((typeof weight === 'number' || weight instanceof ExactNumber) && [0, 1].includes(Number(weight)));

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
