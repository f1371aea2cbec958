import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { readJsonFile, readText } from '../../formats/json.js';

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
 * The chat template of a model's folder: `chat_template.jinja`, else `chat_template` of `tokenizer_config.json`;
 * undefined where there is none.
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
  const beside = join(folder, 'chat_template.jinja');
  const path = file ?? (existsSync(beside) ? beside : undefined);
  if (path !== undefined)
    return { path, templates: { default: readText(path, 'a chat template') }, specialTokens };
  const { chat_template: found } = config;
  if (!found) return undefined;
  const templates =
    typeof found === 'string'
      ? { default: found }
      : Object.fromEntries(found.map(({ name, template }) => [name, template]));
  if (Object.hasOwn(templates, 'default')) return { path: configPath, templates, specialTokens };
  const names = Object.keys(templates).join(', ');
  throw new InputError(
    `${configPath}: expected a chat template named default, found ${excerpt(names)}; give one with --chat-template`,
  );
}

/** Of what a rendering depends on, wherever it lies. */
export function hashOfTemplate({ templates, specialTokens }: ChatTemplateSource): string {
  return createHash('sha256')
    .update(JSON.stringify([templates, specialTokens]))
    .digest('hex');
}
