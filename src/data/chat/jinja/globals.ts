import { notSupported, TemplateError } from './errors.js';
import { requireInt, requireText } from './numbers.js';
import { str } from './printing.js';
import { iteratorOf, listOf } from './sequences.js';
import { bind } from './signatures.js';
import { formatDate } from './strftime.js';
import {
  Callable,
  Dict,
  type Kwargs,
  Namespace,
  PythonObject,
  Range,
  Tuple,
  typeName,
  type Value,
} from './values.js';

/** The names that every chat template has: Jinja2's, and those of transformers. */

/** As the sandbox: no range of more numbers. */
const MOST_NUMBERS = 100_000;

function range(args: readonly Value[], kwargs: Kwargs): Range {
  if (kwargs.size > 0) throw new TemplateError('range() takes no keyword arguments');
  if (args.length < 1 || args.length > 3) throw new TemplateError('range expected 1 to 3 arguments');
  const [a, b, c = 1n] = args.map(requireInt) as [bigint, bigint | undefined, bigint | undefined];
  const found = b === undefined ? new Range(0n, a, 1n) : new Range(a, b, c);
  if (found.length <= MOST_NUMBERS) return found;
  throw new TemplateError(
    `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MOST_NUMBERS}).`,
  );
}

/** dict(...) @throws TemplateError */
function dict(args: readonly Value[], kwargs: Kwargs): Dict {
  if (args.length > 1) throw new TemplateError(`dict expected at most 1 argument, got ${args.length}`);
  const made = new Dict();
  const [source] = args;
  if (source instanceof Dict) for (const [key, value] of source.entries()) made.set(key, value);
  else if (source !== undefined) for (const pair of listOf(source)) addPair(made, pair);
  for (const [name, value] of kwargs) made.set(name, value);
  return made;
}

function addPair(made: Dict, pair: Value): void {
  const items = iteratorOf(pair) && listOf(pair);
  if (items?.length !== 2) {
    throw new TemplateError(`dict() takes pairs of a key and a value, found a ${typeName(pair)}`);
  }
  made.set(items[0]!, items[1]!);
}

class Cycler extends PythonObject {
  readonly typeName = 'Cycler';
  readonly #items: readonly Value[];
  #at = 0;

  constructor(items: readonly Value[]) {
    super();
    if (items.length === 0) throw new TemplateError('at least one item has to be provided');
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    if (name === 'current') return this.#items[this.#at];
    if (name === 'items') return new Tuple(this.#items);
    if (name === 'pos') return BigInt(this.#at);
    if (name === 'reset') return new Callable(() => this.#moveTo(0));
    if (name !== 'next') return undefined;
    return new Callable(() => {
      const current = this.#items[this.#at]!;
      this.#moveTo((this.#at + 1) % this.#items.length);
      return current;
    });
  }

  #moveTo(at: number): null {
    this.#at = at;
    return null;
  }
}

function joiner(args: readonly Value[], kwargs: Kwargs): Callable {
  const [separator = ', '] = bind('joiner', 'sep?', args, kwargs);
  let isUsed = false;
  return new Callable(() => {
    const wasUsed = isUsed;
    isUsed = true;
    return wasUsed ? separator : '';
  }, 'Joiner');
}

/** Values that a rendering begins with, but for those of the conversation. */
export function makeGlobals(): ReadonlyMap<string, Value> {
  return new Map<string, Value>([
    ['range', new Callable(range)],
    ['dict', new Callable(dict, 'TemplateDict')],
    ['namespace', new Callable((args, kwargs) => new Namespace(dict(args, kwargs)), 'type')],
    ['cycler', new Callable((items) => new Cycler(items), 'type')],
    ['joiner', new Callable(joiner, 'type')],
    [
      'lipsum',
      new Callable(() => {
        throw notSupported('the function lipsum');
      }),
    ],
    [
      'raise_exception',
      new Callable((args, kwargs) => {
        const [message] = bind('raise_exception', 'message', args, kwargs);
        throw new TemplateError(str(message!));
      }),
    ],
    [
      'strftime_now',
      new Callable((args, kwargs) => {
        const [format] = bind('strftime_now', 'format', args, kwargs);
        return formatDate(requireText(format!));
      }),
    ],
  ]);
}
