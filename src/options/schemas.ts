import { z } from 'zod';

/** What values of options are like. Text from a command line becomes numbers; messages say what was expected. */

/** Number() makes numbers of true, [2], null and "", too: they stay what they are. */
const read = (given: unknown): unknown =>
  typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
export const number = (
  checks: (value: z.ZodNumber) => z.ZodNumber = (value) => value,
  expected = 'expected a number',
) => z.preprocess(read, checks(z.number(expected)));
export const text = z.string('expected some text').min(1, 'expected some text');
/** Up to 2^53, from where on not every number has a neighbour. */
const int = (checks: (value: z.ZodNumber) => z.ZodNumber) =>
  number((value) =>
    checks(
      value.int({
        error: ({ code }) =>
          code === 'too_big' ? `expected at most ${Number.MAX_SAFE_INTEGER}` : 'expected a whole number',
      }),
    ),
  );
const fromOne = (value: z.ZodNumber) => value.min(1, 'expected at least 1');
export const count = int(fromOne);
/** Tokens of a row: no model reads longer ones, and a row takes 12 bytes a token. */
const MOST_SEQUENCE = 2 ** 24;
export const sequence = int((value) =>
  fromOne(value).max(MOST_SEQUENCE, `expected at most ${MOST_SEQUENCE}`),
);
export const whole = int((value) => value.min(0, 'expected 0 or more'));
export const positive = number((value) => value.positive('expected a number above 0'));
export const notNegative = number((value) => value.min(0, 'expected 0 or more'));
export const share = number((value) => value.min(0, 'expected 0 to 1').max(1, 'expected 0 to 1'));
export const belowOne = number((value) => value.min(0, 'expected at least 0').lt(1, 'expected below 1'));
export const toggle = z.boolean();
/** `a=1,b=2` on the command line, a map in files and code. @param form of what is expected: NAME=VALUE */
export const named = <T extends z.ZodType>(form: string, map: T) =>
  z.preprocess((given, context) => {
    if (typeof given !== 'string') return given;
    const parts = given.split(',').map((part) => part.split('='));
    const names = new Set(parts.map(([name]) => name));
    if (parts.every(({ length }) => length === 2) && names.size === parts.length) {
      return Object.fromEntries(parts);
    }
    context.addIssue(`expected ${form} once for each name, with commas between several`);
    return z.NEVER;
  }, map);
/** `q_proj=16,mlp.down_proj=4` */
export const pattern = <T extends z.ZodType<number>>(value: T) =>
  named('NAME=NUMBER', z.record(z.string(), value));
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
