import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { parseExactly } from '../data/documents/exactJson.js';
import { Problem } from '../data/documents/problems.js';
import { parseJson } from '../data/documents/records.js';
import { readWhole } from '../data/documents/wholeText.js';
import type { Conversation } from '../data/examples.js';
import type { Prompt } from './prompts.js';

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
  const lines = readWhole(path, 'a .jsonl file of prompts').split('\n');
  const prompts = lines.flatMap((line, i) => {
    const place = `${path}:${i + 1}`;
    return line.trim() === '' ? [] : [{ prompt: placed(line, place), place }];
  });
  if (prompts.length > 0) return prompts;
  throw new InputError(`${path}: expected a prompt on each line, found none`);
}

function placed(line: string, place: string): Prompt {
  try {
    return promptOf(line);
  } catch (error) {
    throw error instanceof Problem ? new InputError(`${place}: ${error.message}`) : error;
  }
}

const idsSchema = z.array(z.int().min(0));

/** Turns are read as a run reads them: with the numbers and keys of the file. What is in them is not checked here. */
function promptOf(line: string): Prompt {
  const record = parseJson(line);
  const { prompt, ids, messages } = Object(record) as Readonly<Record<string, unknown>>;
  if (typeof prompt === 'string') return prompt;
  const listed = idsSchema.safeParse(ids);
  if (listed.success) return { ids: listed.data };
  if (Array.isArray(messages)) return parseExactly(line, record) as Conversation;
  throw new Problem(
    `expected {"prompt": TEXT}, {"ids": [...]} or {"messages": [...]}, found ${excerpt(line)}`,
  );
}
