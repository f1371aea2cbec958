import { ExactNumber, KEY_ORDER } from '../../documents/exactJson.js';
import { Dict, type Value } from './values.js';

/** Python's value of what JSON holds; undefined is left out of objects. */
export function fromJson(value: unknown): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (value instanceof ExactNumber) return value.isInteger ? BigInt(value.text) : Number(value.text);
  if (Array.isArray(value)) return value.map(fromJson);
  const object = value as Readonly<Record<string | symbol, unknown>>;
  const keys = (object[KEY_ORDER] as readonly string[] | undefined) ?? Object.keys(object);
  const dict = new Dict();
  for (const key of keys) if (object[key] !== undefined) dict.set(key, fromJson(object[key]));
  return dict;
}
