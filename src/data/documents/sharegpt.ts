import { excerpt } from '../../base/errors.js';
import { parseExactly } from './exactJson.js';
import { Problem } from './problems.js';

/** Conversations of ShareGPT's form: turns with `from` and `value`. */

const ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  user: 'user',
  gpt: 'assistant',
  assistant: 'assistant',
  chatgpt: 'assistant',
  model: 'assistant',
  bot: 'assistant',
  system: 'system',
  tool: 'tool',
  observation: 'tool',
  function_response: 'tool',
};

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Turns with role and content, of turns that may have from and value in their place; other fields stay.
 * @throws Problem for a `from` that stands for no role
 */
export function withRoles(turns: readonly unknown[]): readonly unknown[] {
  const isShared = (turn: unknown) =>
    isObject(turn) && turn.role === undefined && typeof turn.from === 'string';
  return turns.some(isShared)
    ? turns.map((turn, i) => (isShared(turn) ? withRole(turn as Fields, i) : turn))
    : turns;
}

function withRole({ from, value, ...others }: Fields, index: number): unknown {
  const speaker = from as string;
  if (speaker === 'function_call') return { ...others, ...callOf(value, index) };
  const role = Object.hasOwn(ROLES, speaker) ? ROLES[speaker] : undefined;
  if (role !== undefined) return { ...others, role, content: value };
  throw new Problem(
    `turn ${index + 1}: expected from to be human, gpt, system, tool, observation or function_call, found ` +
      `${excerpt(speaker)}; give the turn a role and content in its place`,
  );
}

/** A call of a function is JSON in a text: its name and arguments. */
function callOf(value: unknown, index: number): Fields {
  const call = typeof value === 'string' ? parsed(value) : value;
  if (isObject(call) && typeof call.name === 'string' && call.arguments !== undefined) {
    return { role: 'assistant', content: '', tool_calls: [{ type: 'function', function: call }] };
  }
  throw new Problem(
    `turn ${index + 1}: expected a function_call as JSON with name and arguments, found ${excerpt(value)}; mend the record`,
  );
}

function parsed(json: string): unknown {
  try {
    return parseExactly(json, JSON.parse(json));
  } catch {
    return undefined;
  }
}
