import { notSupported, TemplateError } from './errors.js';
import { formatFloat } from './floatFormat.js';
import { checkText } from './limits.js';
import { floatOfInt } from './numbers.js';
import { floatText, repr, str } from './printing.js';
import { lengthOf, sliceOf } from './unicode.js';
import { type Kwargs, numberOf, textOf, typeName, type Value } from './values.js';

/** How a format reads what its fields name. */
export interface Access {
  readonly attribute: (object: Value, name: string) => Value;
  readonly item: (object: Value, key: Value) => Value;
}

/** `format.format(*args, **kwargs)` @throws TemplateError */
export function braceFormat(format: string, args: readonly Value[], kwargs: Kwargs, access: Access): string {
  return new Formatter(args, kwargs, access).format(format, 2);
}

class Formatter {
  readonly #args: readonly Value[];
  readonly #kwargs: Kwargs;
  readonly #access: Access;
  /** The number of the next `{}`; undefined once there was one like `{0}`. */
  #automatic: number | undefined = 0;

  constructor(args: readonly Value[], kwargs: Kwargs, access: Access) {
    this.#args = args;
    this.#kwargs = kwargs;
    this.#access = access;
  }

  format(format: string, levels: number): string {
    if (levels < 0) throw new TemplateError('Max string recursion exceeded');
    let text = '';
    for (let at = 0; at < format.length; at++) {
      const character = format[at]!;
      if (character !== '{' && character !== '}') text += character;
      else if (format[at + 1] === character) {
        text += character;
        at++;
      } else if (character === '}') throw new TemplateError("Single '}' encountered in format string");
      else {
        const end = closing(format, at + 1);
        text += this.#field(format.slice(at + 1, end), levels);
        at = end;
      }
    }
    return text;
  }

  #field(field: string, levels: number): string {
    const match = /^([^!:[]*(?:\[[^\]]*\][^!:[]*)*)(?:!([^:]*))?(?::(.*))?$/s.exec(field);
    if (!match) throw new TemplateError(`expected a field of a format, found '{${field}}'`);
    const [, name, conversion, specification = ''] = match;
    const value = converted(this.#valueOf(name!), conversion);
    return formatted(value, this.format(specification, levels - 1));
  }

  #valueOf(name: string): Value {
    const [first = ''] = /^[^.[]*/.exec(name)!;
    let value = this.#first(first);
    const rest = name.slice(first.length);
    const steps = [...rest.matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)];
    if (steps.map(([whole]) => whole).join('') !== rest) {
      throw new TemplateError('Empty attribute in format string');
    }
    for (const [, attribute, key] of steps) {
      if (attribute !== undefined) value = this.#access.attribute(value, attribute);
      else value = this.#access.item(value, /^\d+$/.test(key!) ? BigInt(key!) : key!);
    }
    return value;
  }

  #first(name: string): Value {
    if (name !== '' && !/^\d+$/.test(name)) {
      const value = this.#kwargs.get(name);
      if (value === undefined) throw new TemplateError(`'${name}'`);
      return value;
    }
    if (name === '' && this.#automatic === undefined) {
      throw new TemplateError('cannot switch from manual field specification to automatic field numbering');
    }
    if (name !== '' && this.#automatic) {
      throw new TemplateError('cannot switch from automatic field numbering to manual field specification');
    }
    const index = name === '' ? this.#automatic! : Number(name);
    this.#automatic = name === '' ? index + 1 : undefined;
    const value = this.#args[index];
    if (value !== undefined) return value;
    throw new TemplateError(`Replacement index ${index} out of range for positional args tuple`);
  }
}

function closing(format: string, from: number): number {
  let depth = 1;
  for (let at = from; at < format.length; at++) {
    if (format[at] === '{') depth++;
    else if (format[at] === '}' && --depth === 0) return at;
  }
  throw new TemplateError("expected '}' before end of string");
}

function converted(value: Value, conversion: string | undefined): Value {
  if (conversion === undefined) return value;
  if (conversion === 's') return str(value);
  if (conversion === 'r') return repr(value);
  if (conversion === 'a') return repr(value, true);
  throw new TemplateError(`Unknown conversion specifier ${conversion}`);
}

const SPECIFICATION = /^(?:(.)?([<>=^]))?([-+ ]?)(z?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)$/su;

interface Specification {
  readonly fill: string;
  readonly align: string | undefined;
  readonly sign: string;
  readonly isAlternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

/** format(value, specification) */
function formatted(value: Value, text: string): string {
  if (text === '') return str(value);
  const match = SPECIFICATION.exec(text);
  const number = numberOf(value);
  const isText = textOf(value) !== undefined;
  if (!match) throw new TemplateError(`Invalid format specifier '${text}'`);
  if (number === undefined && !isText) {
    throw new TemplateError(`unsupported format string passed to ${typeName(value)}.__format__`);
  }
  const [, fill, align, sign, z, alternate, zero, width, grouping, precision, type] = match;
  if (z) throw notSupported('the z of a format');
  const specification: Specification = {
    fill: fill ?? (zero ? '0' : ' '),
    align: align ?? (zero && !isText ? '=' : undefined),
    sign: sign!,
    isAlternate: alternate === '#',
    width: Number(width),
    grouping: grouping!,
    type: type!,
    precision: precision === undefined ? undefined : Number(precision),
  };
  checkText(specification.width + (specification.precision ?? 0));
  return isText ? ofText(textOf(value)!, specification) : ofNumber(value, number!, specification);
}

function aligned(
  sign: string,
  body: string,
  { fill, align, width }: Specification,
  otherwise: string,
): string {
  const room = Math.max(0, width - lengthOf(sign + body));
  const where = align ?? otherwise;
  if (where === '=') return sign + fill.repeat(room) + body;
  const left = where === '<' ? 0 : where === '>' ? room : Math.floor(room / 2);
  return fill.repeat(left) + sign + body + fill.repeat(room - left);
}

function ofText(text: string, specification: Specification): string {
  const { sign, isAlternate, grouping, precision, type, align } = specification;
  if ((type !== '' && type !== 's') || sign || isAlternate || grouping || align === '=') {
    throw new TemplateError(
      `Unknown format code '${type || align || sign || grouping || '#'}' for object of type 'str'`,
    );
  }
  return aligned('', precision === undefined ? text : sliceOf(text, 0, precision), specification, '<');
}

const RADIX: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function ofNumber(value: Value, number: bigint | number, specification: Specification): string {
  const { type, sign, precision } = specification;
  const isInt = typeof number === 'bigint';
  if (typeof value === 'boolean' && type === '') return ofText(str(value), specification);
  if (type === 'n') throw notSupported('the type n of a format');
  if (type === 's')
    throw new TemplateError(`Unknown format code 's' for object of type '${typeName(value)}'`);
  const isIntType = 'bcdoxX'.includes(type) && type !== '';
  if (!isInt && isIntType)
    throw new TemplateError(`Unknown format code '${type}' for object of type 'float'`);
  if (isInt && (isIntType || type === '') && precision !== undefined) {
    throw new TemplateError('Precision not allowed in integer format specifier');
  }
  if (type === 'c') return aligned('', String.fromCodePoint(Number(number)), specification, '<');
  const text =
    isInt && (isIntType || type === '') ? intBody(number, specification) : floatBody(number, specification);
  const isNegative = text.startsWith('-');
  const shown = isNegative ? '-' : sign === '+' || sign === ' ' ? sign : '';
  return withGroups(shown, isNegative ? text.slice(1) : text, specification);
}

function intBody(number: bigint, { type, isAlternate }: Specification): string {
  const digits = (number < 0n ? -number : number).toString(RADIX[type] ?? 10);
  const prefix = isAlternate && RADIX[type] ? `0${type}` : '';
  return (number < 0n ? '-' : '') + prefix + (type === 'X' ? digits.toUpperCase() : digits);
}

function floatBody(number: bigint | number, { type, precision, isAlternate }: Specification): string {
  const value = typeof number === 'bigint' ? floatOfInt(number) : number;
  if ((precision ?? 0) > 1000) throw notSupported('a precision of more than 1000 digits');
  if (type === '' && precision === undefined) return floatText(value);
  if (type === '') {
    const general = formatFloat(value, 'g', precision!, isAlternate);
    return /^-?\d+$/.test(general) ? `${general}.0` : general;
  }
  const style = type === '%' ? 'f' : (type.toLowerCase() as 'e' | 'f' | 'g');
  if (!'efg'.includes(style))
    throw new TemplateError(`Unknown format code '${type}' for object of type 'float'`);
  const text = formatFloat(type === '%' ? value * 100 : value, style, precision ?? 6, isAlternate);
  return (type === style || type === '%' ? text : text.toUpperCase()) + (type === '%' ? '%' : '');
}

/** Commas or underscores between the digits before the point, also between zeros that fill. */
function withGroups(sign: string, body: string, specification: Specification): string {
  const { grouping, align, fill, width, type } = specification;
  if (!grouping) return aligned(sign, body, specification, '>');
  const every = RADIX[type] ? 4 : 3;
  const [whole = ''] = /^[0-9a-fA-F]*/.exec(body)!;
  const rest = body.slice(whole.length);
  const grouped = (digits: string) => digits.replace(new RegExp(`\\B(?=(?:.{${every}})+$)`, 'g'), grouping);
  let digits = whole;
  if (align === '=' && fill === '0') {
    while ((sign + grouped(digits) + rest).length < width) digits = `0${digits}`;
  }
  return aligned(sign, grouped(digits) + rest, specification, '>');
}
