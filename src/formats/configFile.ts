import { readFileSync } from 'node:fs';
import { type Document, isMap, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { excerpt, InputError } from '../base/errors.js';
import { unknownOption } from '../base/nearestName.js';
import { flagOf, type Option, type OptionTable, optionOf } from '../options/table.js';
import { systemCode } from './json.js';

/** No option is longer. */
const MAX_NAME = 60;

/** Of a file: options take less, and the YAML reader takes hundreds of bytes for one. */
const MAX_CHARACTERS = 2 ** 16;

/** Options that have no place in a file: they name it. */
const NOT_IN_FILES = ['config'];

/**
 * Options from a YAML or JSON file, by the names of the table in camelCase or kebab-case. Paths in it are relative to
 * the current folder, as on the command line.
 * @throws InputError naming the line of every unknown name (with the nearest known one) and every wrong value
 */
export function readConfigFile(path: string, table: OptionTable): Record<string, unknown> {
  const lines = new LineCounter();
  const document = parseYaml(path, lines);
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const { written, value, offset } of entriesOf(path, document)) {
    const name = camelCase(written);
    const problem = Object.hasOwn(values, name)
      ? `${written}: expected it once, found it again`
      : problemOf(table, written, value);
    if (problem !== undefined) problems.push(`${path}:${lines.linePos(offset).line}: ${problem}`);
    values[name] = optionOf(table, name)?.many && !Array.isArray(value) ? [value] : value;
  }
  if (problems.length > 0) throw new InputError(problems.join('; '));
  return values;
}

/** A YAML or JSON file of at most 65,536 characters. @throws InputError naming the line of a fault */
export function parseYaml(path: string, lineCounter: LineCounter): Document.Parsed {
  const text = readText(path);
  if (text.length > MAX_CHARACTERS) {
    throw new InputError(
      `${path}: expected options in at most ${MAX_CHARACTERS} characters, found ${text.length}; check --config`,
    );
  }
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (!error) return document;
  const { line } = lineCounter.linePos(error.pos[0]);
  throw new InputError(`${path}:${line}: expected YAML or JSON, found: ${error.message}`);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(
      `${path}: expected a YAML or JSON file, could not read one (${systemCode(error)}); check --config`,
    );
  }
}

interface Entry {
  readonly written: string;
  readonly value: unknown;
  /** Of the name in the file. */
  readonly offset: number;
}

function entriesOf(path: string, document: Document.Parsed): Entry[] {
  const { contents } = document;
  if (!isMap(contents)) {
    throw new InputError(
      `${path}: expected lines of the form \`name: value\`, found none; see --help for names`,
    );
  }
  try {
    return contents.items.map(({ key, value }) => ({
      written: String(key.toJS(document)).slice(0, MAX_NAME),
      value: value?.toJS(document),
      offset: key.range[0],
    }));
  } catch (error) {
    // An alias that stands for nothing, or for far too much.
    throw new InputError(`${path}: expected YAML or JSON, found: ${(error as Error).message}`);
  }
}

/** What is wrong with an option of a file, in words. */
function problemOf(table: OptionTable, written: string, value: unknown): string | undefined {
  const name = camelCase(written);
  if (NOT_IN_FILES.includes(name)) {
    return `${written}: expected it on the command line alone, found it in a file; leave it out`;
  }
  const option = optionOf(table, name);
  if (!option) return unknownOption(written, Object.keys(table));
  const problem = problemOfValue(option, value);
  return problem && `${written}: ${problem}`;
}

/** What is wrong with the value of an option that a file gives, in words. */
export function problemOfValue(option: Option, value: unknown): string | undefined {
  const values = option.many ? [value].flat() : [value];
  const kind = kindOf(option.many ? (option.schema as z.ZodArray).element : option.schema);
  const wrong = values.find((each) => !isOfKind(each, kind));
  if (wrong !== undefined || value == null) return `expected ${KINDS[kind]}, found ${shown(wrong)}`;
  const checked = option.schema.safeParse(option.many ? values : value);
  return checked.success ? undefined : `${checked.error.issues[0]!.message}, found ${shown(value)}`;
}

/** A list may be written as on a command line. */
const isOfKind = (value: unknown, kind: Kind): boolean =>
  kind === 'array' ? Array.isArray(value) || typeof value === 'string' : typeof value === kind;

type Kind = 'number' | 'boolean' | 'string' | 'object' | 'array';
const KINDS: Readonly<Record<Kind, string>> = {
  number: 'a number',
  boolean: 'true or false',
  string: 'text (in quotes where it looks like something else)',
  object: 'names with values, such as {q_proj: 16}',
  array: 'a list, or text with commas in it',
};

/** The JavaScript type of an option's value. Options take text from a command line and convert it; a file has types. */
function kindOf(schema: z.core.$ZodType): Kind {
  const { type } = z.toJSONSchema(schema);
  return type === 'integer' ? 'number' : (type as Kind);
}

const shown = (value: unknown): string => (value == null ? 'nothing' : excerpt(value));

/** `lora-alpha` -> `loraAlpha`. */
export const camelCase = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** A JSON schema of such files, for editors. Kebab-case names are allowed but not suggested. */
export function configSchema(title: string, table: OptionTable): object {
  const properties: Record<string, object> = {};
  for (const [name, option] of Object.entries(table)) {
    if (NOT_IN_FILES.includes(name)) continue;
    const { $schema: _, ...schema } = z.toJSONSchema(option.schema, {
      target: 'draft-7',
      override: asGiven,
    });
    const { help: description, many } = option;
    const value = many
      ? { anyOf: [schema, schema.items] }
      : schema.type === 'array'
        ? { anyOf: [schema, { type: 'string' }] }
        : schema;
    properties[name] = {
      description,
      ...value,
      ...(option.default === undefined ? {} : { default: option.default }),
    };
  }
  const kebab = Object.keys(properties)
    .filter((name) => /[A-Z]/.test(name))
    .map((name) => flagOf(name).slice(2));
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    type: 'object',
    properties,
    patternProperties: { [`^(${kebab.join('|')})$`]: true },
    additionalProperties: false,
  };
}

/** That whole numbers end at 2^53 is true and helps nobody; what has a default may be left out. */
function asGiven({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  const { required, properties } = jsonSchema;
  const hasDefault = (name: string) => Object.hasOwn(Object(properties?.[name]), 'default');
  const needed = required?.filter((name) => !hasDefault(name));
  if (needed?.length === 0) delete jsonSchema.required;
  else if (needed) jsonSchema.required = needed;
}
