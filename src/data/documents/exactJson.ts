/**
 * JSON whose numbers and keys keep what JSON.parse loses of them. For a record that has none of these JSON.parse does all
 * of the work, and what it gives is what anyone would expect.
 */

/** A number that JavaScript has no other like: 12345678901234567890 (an int), 1.0, 1e5, -0.0 (floats). */
export class ExactNumber {
  /** As it stands in the JSON. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get isInteger(): boolean {
    return !/[.eE]/.test(this.text);
  }

  /** As JSON.parse has it. */
  toJSON(): number {
    return Number(this.text);
  }

  valueOf(): number {
    return Number(this.text);
  }
}

/** Of an object with keys like "10", which JavaScript puts first: all keys in the order of the file. */
export const KEY_ORDER = Symbol('keys in order');

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INDEX = /^"(?:0|[1-9]\d*)"/;
/** What a record without such numbers and keys rarely has, even inside of texts. */
const LOST = /[[:,]\s*-?(?:\d+[.eE]|\d{16})|"(?:0|[1-9]\d*)"\s*:/;

/** Whether JavaScript would write a number otherwise, or take a float for an int. */
function isLost(text: string): boolean {
  const value = Number(text);
  return Number.isInteger(value) && (/[.eE]/.test(text) || !Number.isSafeInteger(value));
}

/** Of values in one another, in what is read of a conversation. */
export const MOST_LEVELS = 100;

/** Deeper ones would exhaust the stack of whoever walks them. */
export function isDeep(value: unknown, levels = MOST_LEVELS): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeep(part, levels - 1));
}

/**
 * The value of a JSON text that JSON.parse has taken already.
 * @param parsed what it gave, which is what comes back where nothing is lost, and where it is so deep that it is refused
 */
export function parseExactly(json: string, parsed: unknown): unknown {
  if (!LOST.test(json) || isDeep(parsed)) return parsed;
  const mark = unusedIn(json);
  let isMarked = false;
  const marked = json.replace(TOKEN, (token, colon: string | undefined) => {
    const isKept = token.startsWith('"') ? colon === undefined || !INDEX.test(token) : !isLost(token);
    if (isKept) return token;
    isMarked = true;
    return token.startsWith('"') ? `"${mark}${token.slice(1)}` : `"${mark}${token}"`;
  });
  return isMarked ? JSON.parse(marked, (_, value) => unmarked(value, mark)) : parsed;
}

/** A text that neither begins a string nor a key. */
function unusedIn(json: string): string {
  let mark = '\ue000';
  while (json.includes(mark)) mark += '\ue000';
  return mark;
}

function unmarked(value: unknown, mark: string): unknown {
  if (typeof value === 'string') {
    return value.startsWith(mark) ? new ExactNumber(value.slice(mark.length)) : value;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const keys = Object.keys(value);
  if (!keys.some((key) => key.startsWith(mark))) return value;
  const named = Object.entries(value).map(
    ([key, part]) => [key.startsWith(mark) ? key.slice(mark.length) : key, part] as const,
  );
  const ordered = Object.fromEntries(named);
  Object.defineProperty(ordered, KEY_ORDER, { value: named.map(([key]) => key) });
  return ordered;
}
