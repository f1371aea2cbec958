import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';

/** What zod puts around `expected a number`; the value found says more than its type. */
const ZOD_FRAME = /^Invalid input: |, received .*$/g;

/** Of a file: a list of wrong entries has one each. */
const MOST_PROBLEMS = 20;

/**
 * Reads a JSON file and checks it against a schema.
 * @param advice what to do about a damaged file
 * @throws InputError naming the path and, for a file of the wrong form, the fields that are wrong (the first 20)
 */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>, advice?: string): T {
  const json = parseJson(path, readText(path, 'a JSON file'), advice ?? 'fetch the file again');
  const checked = schema.safeParse(json, { reportInput: true });
  if (checked.success) return checked.data;
  const { issues } = checked.error;
  const problems = issues
    .slice(0, MOST_PROBLEMS)
    .map(
      ({ path: field, message, input }) =>
        `${field.join('.') || 'file'}: ${message.replace(ZOD_FRAME, '')}, found ${excerpt(input)}`,
    );
  if (issues.length > MOST_PROBLEMS) problems.push(`and ${issues.length - MOST_PROBLEMS} more`);
  if (advice !== undefined) problems.push(advice);
  throw new InputError(`${path}: ${problems.join('; ')}`);
}

/** @param what the file is expected to be, for messages. @throws InputError */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(
      `${path}: expected ${what}, could not read one (${systemCode(error)}); check the path`,
    );
  }
}

function parseJson(path: string, text: string, advice: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path}: expected JSON, found ${(error as Error).message}; ${advice}`);
  }
}

/** The code of a failed system call, such as ENOENT. */
export function systemCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
