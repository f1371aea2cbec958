import { TemplateError } from './errors.js';

/**
 * Python's values: int is a bigint, float a number, str a string, None null, list an array; the others are objects of
 * these classes. Nothing here changes after it was made, except namespaces, iterators and cyclers.
 */
export type Value = null | boolean | bigint | number | string | Value[] | PythonObject;

export type Kwargs = ReadonlyMap<string, Value>;

/** A value that JavaScript has nothing like. */
export abstract class PythonObject {
  /** type(value).__name__ */
  abstract readonly typeName: string;

  /** An attribute; undefined where there is none by this name. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }
}

/** A str that is marked as escaped HTML. */
export class Markup extends PythonObject {
  readonly typeName = 'Markup';
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }
}

export class Tuple extends PythonObject {
  readonly typeName: string = 'tuple';
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    super();
    this.items = items;
  }
}

/** What `groupby` gives. */
export class Group extends Tuple {
  override readonly typeName = '_GroupTuple';

  override attribute(name: string): Value | undefined {
    if (name === 'grouper') return this.items[0];
    return name === 'list' ? this.items[1] : undefined;
  }
}

/** A dict: entries in the order in which their keys came. Keys that are equal in Python are one key. */
export class Dict extends PythonObject {
  readonly typeName = 'dict';
  readonly #entries = new Map<unknown, [Value, Value]>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    super();
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }

  /** Only while it is made, and for namespaces. */
  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    const entry = this.#entries.get(hash);
    if (entry) entry[1] = value;
    else this.#entries.set(hash, [key, value]);
  }

  entries(): IterableIterator<[Value, Value]> {
    return this.#entries.values();
  }

  keys(): Value[] {
    return Array.from(this.entries(), ([key]) => key);
  }

  values(): Value[] {
    return Array.from(this.entries(), ([, value]) => value);
  }
}

export class DictView extends PythonObject {
  readonly typeName: 'dict_keys' | 'dict_values' | 'dict_items';
  readonly dict: Dict;

  constructor(typeName: DictView['typeName'], dict: Dict) {
    super();
    this.typeName = typeName;
    this.dict = dict;
  }

  items(): Value[] {
    if (this.typeName === 'dict_keys') return this.dict.keys();
    if (this.typeName === 'dict_values') return this.dict.values();
    return Array.from(this.dict.entries(), (entry) => new Tuple(entry));
  }
}

export class Range extends PythonObject {
  readonly typeName = 'range';
  readonly start: bigint;
  readonly stop: bigint;
  readonly step: bigint;
  readonly length: number;

  constructor(start: bigint, stop: bigint, step: bigint) {
    super();
    if (step === 0n) throw new TemplateError('range() arg 3 must not be zero');
    [this.start, this.stop, this.step] = [start, stop, step];
    const length = step > 0n ? (stop - start + step - 1n) / step : (start - stop - step - 1n) / -step;
    this.length = Number(length > 0n ? length : 0n);
  }

  at(index: number): Value {
    return this.start + BigInt(index) * this.step;
  }

  override attribute(name: string): Value | undefined {
    return name === 'start' || name === 'stop' || name === 'step' ? this[name] : undefined;
  }
}

/** A generator or another iterator: it gives its values once. */
export class Once extends PythonObject {
  readonly typeName: string;
  readonly iterator: Iterator<Value>;

  constructor(iterator: Iterator<Value>, typeName = 'generator') {
    super();
    this.iterator = iterator;
    this.typeName = typeName;
  }
}

/** Jinja2's default Undefined: prints as nothing, is false and empty; anything else raises. */
export class Undefined extends PythonObject {
  readonly typeName = 'Undefined';
  readonly message: string;

  constructor(message: string) {
    super();
    this.message = message;
  }

  error(): TemplateError {
    return new TemplateError(this.message);
  }
}

export class Callable extends PythonObject {
  readonly typeName: string;
  readonly call: (args: readonly Value[], kwargs: Kwargs) => Value;

  constructor(call: Callable['call'], typeName = 'function') {
    super();
    this.call = call;
    this.typeName = typeName;
  }
}

/** What `namespace()` gives: the one thing that a template may change. */
export class Namespace extends PythonObject {
  readonly typeName = 'TemplateNamespace';
  readonly attributes: Dict;

  constructor(attributes: Dict) {
    super();
    this.attributes = new Dict();
    for (const [name, value] of attributes.entries()) this.set(name, value);
  }

  override attribute(name: string): Value | undefined {
    return this.attributes.get(name);
  }

  set(name: Value, value: Value): void {
    if (typeof name === 'string' && name.startsWith('_')) {
      throw new TemplateError(
        `Chat templates cannot store underscore-prefixed attributes on a namespace, but got '${name}'`,
      );
    }
    this.attributes.set(name, value);
  }
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'float';
  if (typeof value === 'string') return 'str';
  return Array.isArray(value) ? 'list' : value.typeName;
}

/** A str, also one that is marked; undefined where it is none. */
export function textOf(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  return value instanceof Markup ? value.text : undefined;
}

/** An int, bool among them; undefined where it is none. */
export function intOf(value: Value): bigint | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return typeof value === 'bigint' ? value : undefined;
}

/** int, bool or float; undefined where it is none of them. */
export const numberOf = (value: Value): bigint | number | undefined =>
  typeof value === 'number' ? value : intOf(value);

export const isDefined = (value: Value): boolean => !(value instanceof Undefined);

/** bool(value) */
export function isTrue(value: Value): boolean {
  if (value === null) return false;
  if (typeof value !== 'object') return Boolean(value);
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Markup) return value.text !== '';
  if (value instanceof Tuple) return value.items.length > 0;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof DictView) return value.dict.size > 0;
  if (value instanceof Range) return value.length > 0;
  return !(value instanceof Undefined);
}

/** A JavaScript value that is the same for keys that are equal, and not for others. @throws TemplateError */
function hashOf(key: Value): unknown {
  if (typeof key === 'string') return key;
  if (key === null || typeof key === 'bigint') return key;
  if (typeof key === 'boolean') return key ? 1n : 0n;
  if (typeof key === 'number') return Number.isInteger(key) ? BigInt(key) : key;
  if (key instanceof Markup) return key.text;
  if (key instanceof Tuple) return Symbol.for(`tuple ${key.items.map(hashText).join(',')}`);
  if (key instanceof Undefined) return Undefined;
  if (Array.isArray(key) || key instanceof Dict) throw unhashable(key);
  return key;
}

function hashText(key: Value): string {
  const hash = hashOf(key);
  if (typeof hash === 'object' && hash !== null) throw unhashable(key);
  return `${typeof hash} ${typeof hash === 'string' ? JSON.stringify(hash) : String(hash)}`;
}

const unhashable = (value: Value): TemplateError =>
  new TemplateError(`unhashable type: '${typeName(value)}'`);
