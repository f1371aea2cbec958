import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { readText } from '../formats/json.js';
import type { Prompt } from './prompts.js';

const message = z.looseObject({ role: z.string() });
const lineSchema = z.union([
  z.looseObject({ prompt: z.string() }).transform(({ prompt }): Prompt => prompt),
  z.looseObject({ ids: z.array(z.int().min(0)) }).transform(({ ids }): Prompt => ({ ids })),
  z
    .looseObject({ messages: z.array(message).min(1), tools: z.array(z.unknown()).optional() })
    .transform(({ messages, tools }): Prompt => ({ messages, ...(tools && { tools }) })),
]);

/** A prompt, and where it was given, for messages: `prompts.jsonl:3`. */
export interface PlacedPrompt {
  readonly prompt: Prompt;
  readonly place: string;
}

/**
 * The prompts of a .jsonl file, one a line; empty lines are left out.
 * @throws InputError naming the first line that holds none
 */
export function readPrompts(path: string): PlacedPrompt[] {
  const lines = readText(path, 'a .jsonl file of prompts').split('\n');
  const prompts = lines.flatMap((line, i) => {
    const place = `${path}:${i + 1}`;
    return line.trim() === '' ? [] : [{ prompt: parsed(line, place), place }];
  });
  if (prompts.length > 0) return prompts;
  throw new InputError(`${path}: expected a prompt on each line, found none`);
}

function parsed(line: string, place: string): Prompt {
  const checked = lineSchema.safeParse(jsonOf(line, place));
  if (checked.success) return checked.data;
  throw new InputError(
    `${place}: expected {"prompt": TEXT}, {"ids": [...]} or {"messages": [...]}, found ${excerpt(line)}`,
  );
}

function jsonOf(line: string, place: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new InputError(`${place}: expected JSON, found ${(error as Error).message}; mend the line`);
  }
}
