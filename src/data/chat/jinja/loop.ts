import { TemplateError } from './errors.js';
import { equals, iterate, sizeOf } from './sequences.js';
import { Callable, type Kwargs, Undefined, type Value } from './values.js';

/** The variable `loop`; it looks ahead only where it is asked to. */
export class Loop extends Callable {
  readonly #iterable: Value;
  #iterator: Iterator<Value>;
  readonly #depth: number;
  #index = -1;
  #size: number | undefined;
  #previous: Value | undefined;
  #current: Value | undefined;
  /** The item after this one, if it was asked for; null where there is none. */
  #ahead: { readonly item: Value | undefined } | undefined;
  #changed: readonly Value[] | undefined;

  /** @param recurse renders the body for other items; undefined where the loop is not recursive */
  constructor(iterable: Value, recurse: ((items: Value, depth: number) => Value) | undefined, depth: number) {
    super((args, kwargs) => this.#recurse(recurse, args, kwargs), 'LoopContext');
    this.#iterable = iterable;
    this.#iterator = iterate(iterable);
    this.#depth = depth;
  }

  /** The next item; undefined at the end. */
  next(): Value | undefined {
    const item = this.#peek();
    if (item === undefined) return undefined;
    this.#ahead = undefined;
    this.#index++;
    this.#previous = this.#current;
    this.#current = item;
    return item;
  }

  #peek(): Value | undefined {
    if (!this.#ahead) {
      const { done, value } = this.#iterator.next();
      this.#ahead = { item: done ? undefined : value };
    }
    return this.#ahead.item;
  }

  #length(): number {
    this.#size ??= sizeOf(this.#iterable);
    if (this.#size === undefined) {
      const rest: Value[] = [];
      for (let next = this.#iterator.next(); !next.done; next = this.#iterator.next()) rest.push(next.value);
      this.#iterator = rest.values();
      this.#size = rest.length + this.#index + 1 + (this.#ahead?.item === undefined ? 0 : 1);
    }
    return this.#size;
  }

  #recurse(
    recurse: ((items: Value, depth: number) => Value) | undefined,
    args: readonly Value[],
    kwargs: Kwargs,
  ) {
    if (!recurse) {
      throw new TemplateError("The loop must have the 'recursive' marker to be called recursively.");
    }
    const items = args.length > 0 ? args[0] : kwargs.get('iterable');
    if (items === undefined) throw new TemplateError('loop() needs what to iterate over');
    return recurse(items, this.#depth + 1);
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case 'index':
        return BigInt(this.#index + 1);
      case 'index0':
        return BigInt(this.#index);
      case 'length':
        return BigInt(this.#length());
      case 'revindex':
        return BigInt(this.#length() - this.#index);
      case 'revindex0':
        return BigInt(this.#length() - this.#index - 1);
      case 'first':
        return this.#index === 0;
      case 'last':
        return this.#peek() === undefined;
      case 'depth':
        return BigInt(this.#depth + 1);
      case 'depth0':
        return BigInt(this.#depth);
      case 'previtem':
        return this.#index === 0 ? new Undefined('there is no previous item') : this.#previous;
      case 'nextitem':
        return this.#next();
      case 'cycle':
        return new Callable((items) => this.#cycle(items));
      case 'changed':
        return new Callable((values) => this.#isChanged(values));
      default:
        return undefined;
    }
  }

  #next(): Value {
    const item = this.#peek();
    return item === undefined ? new Undefined('there is no next item') : item;
  }

  #cycle(items: readonly Value[]): Value {
    if (items.length === 0) throw new TemplateError('no items for cycling given');
    return items[this.#index % items.length]!;
  }

  #isChanged(values: readonly Value[]): boolean {
    const before = this.#changed;
    if (before?.length === values.length && values.every((value, i) => equals(value, before[i]!)))
      return false;
    this.#changed = values;
    return true;
  }
}
