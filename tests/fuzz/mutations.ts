/** Seeded damage to files: bytes, JSON values and text, each change with its name. */

/** Numbers in [0, 1). */
export type Dice = () => number;

export interface Mutated {
  readonly bytes: Buffer;
  /** What was done, for the message of a failure. */
  readonly what: string;
}

export const below = (dice: Dice, limit: number): number => Math.floor(dice() * limit);
export const pick = <T>(dice: Dice, list: readonly T[]): T => list[below(dice, list.length)]!;

const EXTREMES = [
  '-1',
  '0',
  '-0',
  '0.5',
  '1e9',
  '1e15',
  '1e308',
  '1e999',
  '2147483648',
  '4294967297',
  '9007199254740993',
  'NaN',
  'null',
  'true',
  'false',
  '""',
  '[]',
  '{}',
  '"-1"',
  '"0x10"',
  '"\\ud800"',
  '"a\\nb\\u0000\\u001b[31m"',
  '"../../etc"',
  '"("',
  '[[1]]',
  '{"__proto__":{"a":1}}',
  '{"constructor":1}',
] as const;

/** JSON text of a value that nobody expects. */
function strangeValue(dice: Dice): string {
  const kind = dice();
  const size = 10 ** (1 + below(dice, 5));
  if (kind < 0.06) return `${'['.repeat(size)}${']'.repeat(size)}`;
  if (kind < 0.12) return `${'{"a":'.repeat(size)}0${'}'.repeat(size)}`;
  if (kind < 0.2) return JSON.stringify(pick(dice, ['x', '▁', '\u0000', '[', '😀', '.*']).repeat(size));
  if (kind < 0.25) return `[${'0,'.repeat(size)}0]`;
  return pick(dice, EXTREMES);
}

type Container = Record<string, unknown>;

/** A value inside `root`, reached by going down a few levels: [its container, its key]. */
function place(dice: Dice, root: Container): [Container, string] | undefined {
  let container = root;
  for (;;) {
    const keys = Object.keys(container);
    if (keys.length === 0) return undefined;
    const key = pick(dice, keys);
    const value = container[key];
    const ends = typeof value !== 'object' || value === null || Object.keys(value).length === 0;
    if (ends || dice() < 0.25) return [container, key];
    container = value as Container;
  }
}

const MARK = '@@here@@';

/** One value is replaced, removed or doubled, or a key is added beside it. */
function mutateTree(dice: Dice, root: Container): { text: string; what: string } {
  const found = place(dice, root);
  if (!found) return { text: strangeValue(dice), what: 'the whole document' };
  const [container, key] = found;
  const old = JSON.stringify(container[key]);
  const put = (text: string, what: string) => {
    container[key] = MARK;
    return { text: JSON.stringify(root).replace(`"${MARK}"`, () => text), what: `${key}: ${what}` };
  };
  const strange = strangeValue(dice);
  const kind = dice();
  if (kind < 0.15) {
    if (Array.isArray(container)) container.splice(Number(key), 1);
    else delete container[key];
    return { text: JSON.stringify(root), what: `${key}: removed` };
  }
  const field = Array.isArray(container) ? '' : `${JSON.stringify(key)}:`;
  if (kind < 0.25) return put(`${old},${field}${strange}`, `again as ${strange.slice(0, 40)}`);
  if (kind < 0.35) {
    const name = pick(dice, ['__proto__', 'unknown', '', 'a\\nb', 'x'.repeat(10_000), 'toString']);
    const extra = Array.isArray(container) ? strange : `"${name}":${strange}`;
    return put(`${old},${extra}`, `${name.slice(0, 20)} beside it`);
  }
  return put(strange, `replaced by ${strange.slice(0, 40)} (${strange.length} characters)`);
}

/** Undefined where an earlier change left no JSON, or one too deep to be walked. */
function mutateText(dice: Dice, text: string): { text: string; what: string } | undefined {
  try {
    const root: unknown = JSON.parse(text);
    return typeof root === 'object' && root !== null ? mutateTree(dice, root as Container) : undefined;
  } catch {
    return undefined;
  }
}

function repeatTree(dice: Dice, text: string): { text: string; what: string } {
  const changes: string[] = [];
  let current = text;
  for (let left = 1 + below(dice, 3); left > 0; left--) {
    const change = mutateText(dice, current);
    if (!change) break;
    current = change.text;
    changes.push(change.what);
  }
  return { text: current, what: changes.join('; ') };
}

export function mutateJson(dice: Dice, bytes: Buffer): Mutated {
  const { text, what } = repeatTree(dice, bytes.toString());
  return { bytes: Buffer.from(text), what: `json ${what}` };
}

/** The header is changed as JSON, its length made right again. */
export function mutateHeader(dice: Dice, bytes: Buffer): Mutated {
  const end = 8 + Number(bytes.readBigUInt64LE());
  const { text, what } = repeatTree(dice, bytes.toString('utf8', 8, end));
  const header = Buffer.from(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return { bytes: Buffer.concat([length, header, bytes.subarray(end)]), what: `header ${what}` };
}

const WORDS = [0n, 1n, 0x7fffffffn, 0xffffffffn, 1n << 32n, 1n << 53n, (1n << 64n) - 1n];

const BYTE_CHANGES: Readonly<Record<string, (dice: Dice, bytes: Buffer) => Buffer>> = {
  flip(dice, bytes) {
    for (let left = 1 + below(dice, 8); left > 0; left--)
      bytes[below(dice, bytes.length)]! ^= 1 << below(dice, 8);
    return bytes;
  },
  truncate: (dice, bytes) => bytes.subarray(0, below(dice, bytes.length)),
  extend: (dice, bytes) => Buffer.concat([bytes, Buffer.alloc(1 + below(dice, 5000), below(dice, 256))]),
  remove(dice, bytes) {
    const [from, to] = span(dice, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  splice(dice, bytes) {
    const [from, to] = span(dice, bytes);
    const at = below(dice, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at)]);
  },
  word(dice, bytes) {
    const at = dice() < 0.5 ? 0 : below(dice, Math.max(1, bytes.length - 8));
    if (bytes.length >= 8) bytes.writeBigUInt64LE(pick(dice, WORDS), at);
    return bytes;
  },
  zero(dice, bytes) {
    const [from, to] = span(dice, bytes);
    return bytes.fill(0, from, to);
  },
};

function span(dice: Dice, bytes: Buffer): [number, number] {
  const from = below(dice, bytes.length);
  return [from, Math.min(bytes.length, from + 1 + below(dice, 2000))];
}

export function mutateBytes(dice: Dice, bytes: Buffer): Mutated {
  const names: string[] = [];
  let current = Buffer.from(bytes);
  for (let left = 1 + below(dice, 3); left > 0 && current.length > 0; left--) {
    const name = pick(dice, Object.keys(BYTE_CHANGES));
    current = Buffer.from(BYTE_CHANGES[name]!(dice, current));
    names.push(name);
  }
  return { bytes: current, what: `bytes ${names.join(', ')}` };
}

const BOMB = ['a: &a [x,x,x,x,x,x,x,x,x,x]', ...[...'bcdefghi'].map(bombLine)].join('\n');

function bombLine(name: string, i: number): string {
  return `${name}: &${name} [${`*${'abcdefgh'[i]},`.repeat(9)}*${'abcdefgh'[i]}]`;
}

const YAML_VALUES = [
  '*a',
  '&a [*a]',
  '!!binary aGk=',
  '!!js/function "x"',
  '{<<: *a}',
  '.inf',
  '.nan',
  '0o7',
  '2026-01-01',
  '|\n  text',
  '? a',
];

/** One line of YAML is replaced, doubled or added. */
export function mutateYaml(dice: Dice, bytes: Buffer): Mutated {
  const lines = bytes.toString().split('\n');
  const at = below(dice, lines.length);
  const name = lines[at]!.split(':')[0]!;
  const value = dice() < 0.4 ? pick(dice, YAML_VALUES) : strangeValue(dice);
  const line = dice() < 0.1 ? BOMB : `${dice() < 0.8 ? name : strangeValue(dice)}: ${value}`;
  lines.splice(at, dice() < 0.7 ? 1 : 0, line);
  return { bytes: Buffer.from(lines.join('\n')), what: `yaml line ${at + 1}: ${line.slice(0, 60)}` };
}
