import { z } from 'zod';

/** What values of options are like. Text from a command line becomes numbers; messages say what was expected. */

export const number = () => z.coerce.number('expected a number');
export const text = z.string('expected some text').min(1, 'expected some text');
/** Up to 2^53, from where on not every number has a neighbour. */
const int = () =>
  number().int({
    error: ({ code }) =>
      code === 'too_big' ? `expected at most ${Number.MAX_SAFE_INTEGER}` : 'expected a whole number',
  });
export const count = int().min(1, 'expected at least 1');
/** Tokens of a row: no model reads longer ones, and a row takes 12 bytes a token. */
const MOST_SEQUENCE = 2 ** 24;
export const sequence = count.max(MOST_SEQUENCE, `expected at most ${MOST_SEQUENCE}`);
export const whole = int().min(0, 'expected 0 or more');
export const positive = number().positive('expected a number above 0');
export const notNegative = number().min(0, 'expected 0 or more');
export const share = number().min(0, 'expected 0 to 1').max(1, 'expected 0 to 1');
export const belowOne = number().min(0, 'expected at least 0').lt(1, 'expected below 1');
export const toggle = z.boolean();
/** `q_proj=16,mlp.down_proj=4` on the command line, a map in files and code. */
export const pattern = <T extends z.ZodType<number>>(value: T) =>
  z.preprocess(
    (given, context) => {
      if (typeof given !== 'string') return given;
      const parts = given.split(',').map((part) => part.split('='));
      if (parts.every(({ length }) => length === 2)) return Object.fromEntries(parts);
      context.addIssue('expected NAME=NUMBER, with commas between several');
      return z.NEVER;
    },
    z.record(z.string(), value),
  );
export const oneOf = <T extends string>(...values: [T, ...T[]]) =>
  z.enum(values, `expected ${values.join(' | ')}`);

export const device = z
  .string()
  .regex(/^(auto|wasm|webgpu(:.+)?)$/, 'expected auto | wasm | webgpu | webgpu:WHICH');

/** What can only be given in code. */
export const abortSignal = z.custom<AbortSignal>(
  (value) => value instanceof AbortSignal,
  'expected an AbortSignal',
);
export const callback = <T>() => z.custom<T>((value) => typeof value === 'function', 'expected a function');
