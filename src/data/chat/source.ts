import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { readJsonFile, readText } from '../../formats/json.js';
import { NAMED_TEMPLATES } from '../../formats/modelFolder.js';

/** Chat templates by name, and what they are rendered with; plain JSON. */
export interface ChatTemplateSource {
  /** The file they are from, for messages. */
  readonly path: string;
  /** `default`, and maybe `tool_use` for conversations with tools. */
  readonly templates: Readonly<Record<string, string>>;
  /** Texts of special tokens by their names in tokenizer_config.json: bos_token, eos_token, ... */
  readonly specialTokens: Readonly<Record<string, string>>;
}

const TOKEN_NAMES = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map((name) => `${name}_token`);

const tokenSchema = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const configSchema = z.looseObject({
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish(),
});

/**
 * The chat templates of a model's folder: `chat_template.jinja` and those in `additional_chat_templates/`, by their
 * names; where there are none, `chat_template` of `tokenizer_config.json`, a text or a list by name; undefined where
 * there is none either.
 * @param file a template to use instead
 * @throws InputError when a file can't be read, or holds named templates and none is the default
 */
export function readChatTemplate(folder: string, file?: string | undefined): ChatTemplateSource | undefined {
  const configPath = join(folder, 'tokenizer_config.json');
  const config = existsSync(configPath) ? readJsonFile(configPath, configSchema) : {};
  const specialTokens = Object.fromEntries(
    TOKEN_NAMES.flatMap((name) => {
      const token = tokenSchema.safeParse((config as Record<string, unknown>)[name]).data;
      return token ? [[name, typeof token === 'string' ? token : token.content]] : [];
    }),
  );
  if (file !== undefined) {
    return { path: file, templates: { default: readTemplate(file) }, specialTokens };
  }
  const { chat_template: found } = config;
  const files = templateFiles(folder);
  if (files.length === 0 && !found) return undefined;
  const inConfig = typeof found === 'string' ? { default: found } : namedTemplates(found ?? []);
  const templates =
    files.length === 0
      ? inConfig
      : Object.fromEntries(files.map(([name, path]) => [name, readTemplate(path)]));
  const path = files[0]?.[1] ?? configPath;
  if (Object.hasOwn(templates, 'default')) return { path, templates, specialTokens };
  const names = Object.keys(templates).join(', ');
  throw new InputError(
    `${path}: expected a chat template named default, found ${excerpt(names)}; give one with --chat-template`,
  );
}

const readTemplate = (path: string): string => readText(path, 'a chat template');

const namedTemplates = (found: readonly { readonly name: string; readonly template: string }[]) =>
  Object.fromEntries(found.map(({ name, template }) => [name, template]));

/** Names and paths of the templates that are files of their own, `default` first. */
function templateFiles(folder: string): (readonly [name: string, path: string])[] {
  const beside = join(folder, 'chat_template.jinja');
  const named = join(folder, NAMED_TEMPLATES);
  const others = existsSync(named) ? readdirSync(named).filter((name) => name.endsWith('.jinja')) : [];
  return [
    ...(existsSync(beside) ? [['default', beside] as const] : []),
    ...others.sort().map((name) => [basename(name, '.jinja'), join(named, name)] as const),
  ];
}

/** Of what a rendering depends on, wherever it lies. */
export function hashOfTemplate({ templates, specialTokens }: ChatTemplateSource): string {
  return createHash('sha256')
    .update(JSON.stringify([templates, specialTokens]))
    .digest('hex');
}
