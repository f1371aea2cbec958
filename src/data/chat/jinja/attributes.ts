import { braceFormat } from './braceFormat.js';
import { notSupported, TemplateError } from './errors.js';
import { requireIndex } from './numbers.js';
import { equals, itemAt, listOf } from './sequences.js';
import { bind } from './signatures.js';
import { type Method, markupMethod, STRING_METHODS } from './strings.js';
import { quoted } from './unicode.js';
import {
  Callable,
  Dict,
  DictView,
  Markup,
  Once,
  Range,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.js';

/** value.name and value[key], as the immutable sandbox of Jinja2 gives them. */

/** Methods that would change their object: the sandbox gives an undefined value in their place. */
const UNSAFE: Readonly<Record<string, readonly string[]>> = {
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
  list: ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'],
};

/** Attributes that Python has, and templates have no use for. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  dict: ['fromkeys'],
  int: ['as_integer_ratio', 'bit_count', 'from_bytes', 'to_bytes', 'is_integer'],
  bool: ['as_integer_ratio', 'bit_count', 'from_bytes', 'to_bytes', 'is_integer'],
  float: ['as_integer_ratio', 'fromhex', 'hex'],
  generator: ['close', 'gi_frame', 'gi_code', 'gi_running', 'gi_suspended', 'gi_yieldfrom', 'send', 'throw'],
  dict_keys: ['isdisjoint', 'mapping'],
  dict_items: ['isdisjoint', 'mapping'],
  dict_values: ['mapping'],
  Markup: ['escape', 'striptags', 'unescape'],
  _GroupTuple: ['_make', '_asdict', '_replace', '_fields'],
};

/** value.name @throws TemplateError for what is undefined */
export function getAttribute(object: Value, name: string): Value {
  if (object instanceof Undefined) throw object.error();
  const attribute = attributeOf(object, name);
  if (attribute !== undefined) return attribute;
  const item = object instanceof Dict ? object.get(name) : undefined;
  return item === undefined ? missing(object, name) : item;
}

/** value[key] @throws TemplateError for what is undefined */
export function getItem(object: Value, key: Value): Value {
  if (object instanceof Undefined) throw object.error();
  const item = object instanceof Dict ? dictItem(object, key) : itemAt(object, key);
  if (item !== undefined) return item;
  const attribute = typeof key === 'string' ? attributeOf(object, key) : undefined;
  return attribute === undefined ? missing(object, key) : attribute;
}

/** A key that can't be one is like one that is not there. */
function dictItem(dict: Dict, key: Value): Value | undefined {
  if (Array.isArray(key) || key instanceof Dict) return undefined;
  return dict.get(key);
}

function missing(object: Value, key: Value): Undefined {
  const of = object === null ? 'None' : `${typeName(object)} object`;
  if (typeof key !== 'string') return new Undefined(`${of} has no element ${String(key)}`);
  return new Undefined(`'${of}' has no attribute ${quoted(key)}`);
}

/** An attribute; undefined where the object has none by that name. */
export function attributeOf(object: Value, name: string): Value | undefined {
  const type = typeName(object);
  if (UNSAFE[type]?.includes(name) || isInternal(name)) return unsafe(type, name);
  if (REFUSED[type]?.includes(name)) throw notSupported(`the attribute ${name} of a ${type}`);
  if (typeof object === 'string' || object instanceof Markup) return stringAttribute(object, name);
  if (typeof object === 'bigint' || typeof object === 'boolean') return intAttribute(BigInt(object), name);
  if (typeof object === 'number') return floatAttribute(object, name);
  if (object instanceof Dict) return dictMethod(object, name);
  if (Array.isArray(object) || object instanceof Tuple || object instanceof Range) {
    const own = Array.isArray(object) ? undefined : object.attribute(name);
    return own === undefined ? sequenceMethod(object, name) : own;
  }
  return object === null || object instanceof DictView || object instanceof Once
    ? undefined
    : object.attribute(name);
}

/** Names that every object of Python has. */
const isInternal = (name: string): boolean => INTERNAL.has(name);
const INTERNAL = new Set(
  [
    'class',
    'delattr',
    'dir',
    'doc',
    'eq',
    'format',
    'ge',
    'getattribute',
    'getstate',
    'gt',
    'hash',
    'init',
    'init_subclass',
    'le',
    'lt',
    'ne',
    'new',
    'reduce',
    'reduce_ex',
    'repr',
    'setattr',
    'sizeof',
    'str',
    'subclasshook',
  ].map((name) => `__${name}__`),
);

const unsafe = (type: string, name: string): Undefined =>
  new Undefined(`access to attribute '${name}' of '${type}' object is unsafe.`);

const method = (
  name: string,
  parameters: string,
  run: (...given: (Value | undefined)[]) => Value,
): Callable =>
  new Callable((args, kwargs) => run(...bind(name, parameters, args, kwargs)), 'builtin_function_or_method');

function stringAttribute(object: string | Markup, name: string): Value | undefined {
  const text = typeof object === 'string' ? object : object.text;
  if (name === 'format' || name === 'format_map') return formatMethod(object, name === 'format_map');
  if (!Object.hasOwn(STRING_METHODS, name)) return undefined;
  const found: Method = STRING_METHODS[name]!;
  const [parameters, run] = typeof object === 'string' ? found : markupMethod(name, found);
  return method(name, parameters, (a, b, c) => run(text, a, b, c));
}

function formatMethod(object: string | Markup, isMap: boolean): Callable {
  if (typeof object !== 'string') throw notSupported('format of an escaped text');
  const access = { attribute: getAttribute, item: getItem };
  if (!isMap) return new Callable((args, kwargs) => braceFormat(object, args, kwargs, access));
  return new Callable(([values], kwargs) => {
    if (kwargs.size > 0 || !(values instanceof Dict)) {
      throw new TemplateError('format_map() takes exactly one mapping and no keyword arguments');
    }
    const named = Array.from(values.entries(), ([key, value]) => [String(key), value] as const);
    return braceFormat(object, [], new Map(named), access);
  });
}

function intAttribute(value: bigint, name: string): Value | undefined {
  if (name === 'real' || name === 'numerator') return value;
  if (name === 'imag') return 0n;
  if (name === 'denominator') return 1n;
  if (name === 'conjugate') return method(name, '', () => value);
  if (name !== 'bit_length') return undefined;
  const magnitude = value < 0n ? -value : value;
  return method(name, '', () => BigInt(magnitude === 0n ? 0 : magnitude.toString(2).length));
}

function floatAttribute(value: number, name: string): Value | undefined {
  if (name === 'real') return value;
  if (name === 'imag') return 0;
  if (name === 'conjugate') return method(name, '', () => value);
  return name === 'is_integer' ? method(name, '', () => Number.isInteger(value)) : undefined;
}

function dictMethod(dict: Dict, name: string): Value | undefined {
  switch (name) {
    case 'get':
      return method(name, 'key default?', (key, otherwise = null) => {
        const value = dict.get(key!);
        return value === undefined ? otherwise : value;
      });
    case 'items':
    case 'keys':
    case 'values':
      return method(name, '', () => new DictView(`dict_${name}`, dict));
    case 'copy':
      return method(name, '', () => new Dict(dict.entries()));
    default:
      return undefined;
  }
}

function sequenceMethod(sequence: Value[] | Tuple | Range, name: string): Value | undefined {
  const items = () => listOf(sequence instanceof Tuple ? [...sequence.items] : sequence);
  if (name === 'copy' && Array.isArray(sequence)) return method(name, '', () => [...sequence]);
  if (name === 'count') {
    return method(name, 'value', (value) => BigInt(items().filter((item) => equals(item, value!)).length));
  }
  if (name !== 'index') return undefined;
  return method(name, 'value start? stop?', (value, start, stop) => {
    const all = items();
    const edge = (given: Value | undefined, otherwise: number) => {
      const index = given === undefined ? otherwise : requireIndex(given);
      return index < 0 ? Math.max(0, index + all.length) : index;
    };
    const [from, to] = [edge(start, 0), edge(stop, all.length)];
    const at = all.findIndex((item, i) => i >= from && i < to && equals(item, value!));
    if (at < 0) throw new TemplateError('value is not in the sequence');
    return BigInt(at);
  });
}
