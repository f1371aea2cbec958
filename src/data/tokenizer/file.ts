import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { readJsonFile } from '../../formats/json.js';

/** Far above any vocabulary; arrays by id stay small. */
const MAX_ID = 0xffffff;
const tokenId = z.int().min(0).max(MAX_ID);

const addedTokenSchema = z.object({
  id: tokenId,
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(true),
  special: z.boolean().default(false),
});

/** A token that is found in the text before the model sees it. `normalized`: in the normalized text. */
export type AddedToken = z.infer<typeof addedTokenSchema>;

const regexOrString = z.union(
  [z.strictObject({ String: z.string().min(1) }), z.strictObject({ Regex: z.string() })],
  'expected {"String": ...} or {"Regex": ...}',
);

const normalizerStepSchema = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('NFC') }),
    z.strictObject({ type: z.literal('NFKC') }),
    z.strictObject({ type: z.literal('Lowercase') }),
    z.strictObject({ type: z.literal('Strip'), strip_left: z.boolean(), strip_right: z.boolean() }),
    z.strictObject({ type: z.literal('Prepend'), prepend: z.string() }),
    z.strictObject({ type: z.literal('Replace'), pattern: regexOrString, content: z.string() }),
  ],
  'expected NFC, NFKC, Lowercase, Strip, Prepend, Replace or one Sequence of them, the supported normalizers',
);

/** A normalizer of the Hugging Face library; all but Replace work on the whole text at once. */
export type NormalizerStep = z.infer<typeof normalizerStepSchema>;

const byteLevelSchema = z.strictObject({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.boolean().default(true),
  trim_offsets: z.boolean().default(true),
  use_regex: z.boolean().default(true),
});

/** "▁" alone: any other replacement is unheard of. */
const metaspaceSchema = z
  .strictObject({
    type: z.literal('Metaspace'),
    replacement: z.literal('▁', 'expected "▁", the supported one'),
    prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
    split: z.boolean().default(true),
    add_prefix_space: z.boolean().optional(),
    str_rep: z.string().optional(),
  })
  .refine(
    ({ add_prefix_space, prepend_scheme }) => add_prefix_space !== false || prepend_scheme === 'never',
    'expected prepend_scheme "never" beside add_prefix_space false',
  );

const preTokenizerStepSchema = z.discriminatedUnion(
  'type',
  [
    z.strictObject({
      type: z.literal('Split'),
      pattern: regexOrString,
      behavior: z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']),
      invert: z.boolean(),
    }),
    byteLevelSchema,
    metaspaceSchema,
    z.strictObject({ type: z.literal('Digits'), individual_digits: z.boolean() }),
    z.strictObject({ type: z.literal('Whitespace') }),
    z.strictObject({ type: z.literal('WhitespaceSplit') }),
  ],
  'expected Split, ByteLevel, Metaspace, Digits, Whitespace, WhitespaceSplit or one Sequence of them, the supported ' +
    'pre-tokenizers',
);

/** A pre-tokenizer of the Hugging Face library. */
export type PreTokenizerStep = z.infer<typeof preTokenizerStepSchema>;

const decoderStepSchema = z.discriminatedUnion(
  'type',
  [
    byteLevelSchema,
    metaspaceSchema,
    z.strictObject({
      type: z.literal('Replace'),
      pattern: z.strictObject(
        { String: z.string().min(1) },
        'expected {"String": ...}, the supported pattern',
      ),
      content: z.string(),
    }),
    z.strictObject({ type: z.literal('ByteFallback') }),
    z.strictObject({ type: z.literal('Fuse') }),
    z.strictObject({
      type: z.literal('Strip'),
      content: z.string().min(1),
      start: z.int().min(0),
      stop: z.literal(0, 'expected 0, stripping at the end is not supported'),
    }),
  ],
  'expected ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip or one Sequence of them, the supported decoders',
);

/** ByteLevel or Metaspace alone, or a step of Replace and Strip in any order, ByteFallback?, Fuse?, Strip? (after Fuse). */
export type DecoderStep = z.infer<typeof decoderStepSchema>;

const decoderOrder = /^(ByteLevel |Metaspace |((Replace|Strip) )*(ByteFallback )?(Fuse (Strip )?)?)$/;

/** A lone step or a Sequence of steps under `key` as the list of its steps, null as the empty list. */
function steps<S extends z.ZodType>(key: string, step: S) {
  const asList = (value: unknown) => {
    if (value === null || value === undefined) return [];
    const { type, [key]: sequence } = value as Record<string, unknown>;
    return type === 'Sequence' ? sequence : [value];
  };
  return z.preprocess(asList, z.array(step));
}

const decoderSchema = steps('decoders', decoderStepSchema).refine(
  (list) => decoderOrder.test(list.map((step) => `${step.type} `).join('')),
  'expected ByteLevel or Metaspace alone, or the order Replace and Strip, ByteFallback, Fuse, Strip (after Fuse)',
);

const templateItem = z.union(
  [
    z.strictObject({ SpecialToken: z.object({ id: z.string() }) }),
    z.strictObject({ Sequence: z.object({ id: z.literal('A') }) }),
  ],
  'expected a SpecialToken or the Sequence A',
);

const templateSchema = z.looseObject({
  type: z.literal('TemplateProcessing'),
  single: z.array(templateItem),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(tokenId) })),
});

/** Where ByteLevel trims offsets, nothing changes for ids. */
const postProcessorStepSchema = z.discriminatedUnion(
  'type',
  [templateSchema, byteLevelSchema],
  'expected TemplateProcessing, ByteLevel or one Sequence of them, the supported post-processors',
);

const none = z.union([z.null(), z.literal('')], 'expected none, affixes of subwords are not supported');

/** Ids by token. Checked while the map is made: z.record takes 0.2 s for 128k tokens. */
const vocabularySchema = z
  .custom<object>((value) => typeof value === 'object' && value !== null, 'expected ids by token')
  .transform((value, context) => {
    const vocabulary = new Map<string, number>();
    // A list of entries of 262k tokens takes as long as the map itself.
    for (const token of Object.keys(value)) {
      const id = (value as Record<string, number>)[token]!;
      if (!Number.isInteger(id) || id < 0 || id > MAX_ID) {
        context.addIssue({ code: 'custom', path: [token], message: 'expected an id', input: id });
        return z.NEVER;
      }
      vocabulary.set(token, id);
    }
    return vocabulary;
  });

const bpeSchema = z.looseObject({
  // Old files of GPT-2 do not say it.
  type: z.literal('BPE', 'expected BPE, the supported model').default('BPE'),
  dropout: z.union([z.null(), z.literal(0)], 'expected none, dropout is not supported').default(null),
  unk_token: z.string().nullable().default(null),
  continuing_subword_prefix: none.default(null),
  end_of_word_suffix: none.default(null),
  fuse_unk: z.boolean().default(false),
  byte_fallback: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
  vocab: vocabularySchema,
  // Checked where they are read: z.array takes 0.1 s for 280k merges.
  merges: z.custom<unknown[]>(Array.isArray, 'expected a list of merges'),
});

/** The BPE model of a `tokenizer.json`; its merges are not checked. */
export type BpeFile = z.infer<typeof bpeSchema>;

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: steps('normalizers', normalizerStepSchema),
  pre_tokenizer: steps('pretokenizers', preTokenizerStepSchema),
  post_processor: steps('processors', postProcessorStepSchema).refine(
    (list) => list.filter((step) => step.type === 'TemplateProcessing').length < 2,
    'expected at most one TemplateProcessing',
  ),
  decoder: decoderSchema.nullish(),
  model: bpeSchema,
});

const specialToken = z
  .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
  .nullish();

const configSchema = z.looseObject({ bos_token: specialToken, eos_token: specialToken });

/** The two files of a folder, checked. */
export interface TokenizerFile {
  /** Where `tokenizer.json` is, for messages. */
  path: string;
  addedTokens: AddedToken[];
  normalizer: NormalizerStep[];
  preTokenizer: PreTokenizerStep[];
  /** Absent: tokens are joined by spaces. */
  decoder: DecoderStep[] | undefined;
  model: BpeFile;
  /** Ids that the template puts before and after a text. */
  before: number[];
  after: number[];
  bosToken?: string;
  eosToken?: string;
}

/** What a tokenizer is read from; the second one may be absent. */
export const tokenizerPaths = (dir: string) =>
  [join(dir, 'tokenizer.json'), join(dir, 'tokenizer_config.json')] as const;

/** Reads `tokenizer.json` and, when it is there, `tokenizer_config.json`; throws an InputError. */
export function readTokenizerFile(dir: string): TokenizerFile {
  const [path, configPath] = tokenizerPaths(dir);
  const file = readJsonFile(path, tokenizerSchema);
  const config = existsSync(configPath) ? readJsonFile(configPath, configSchema) : {};
  return {
    path,
    addedTokens: file.added_tokens,
    normalizer: file.normalizer,
    preTokenizer: file.pre_tokenizer,
    decoder: file.decoder ?? undefined,
    model: file.model,
    ...templateIds(
      path,
      file.post_processor.find((step) => step.type === 'TemplateProcessing'),
    ),
    ...(typeof config.bos_token === 'string' && { bosToken: config.bos_token }),
    ...(typeof config.eos_token === 'string' && { eosToken: config.eos_token }),
  };
}

/** Real ones have a few. */
const MOST_TEMPLATE_IDS = 1024;

function templateIds(path: string, template: z.infer<typeof templateSchema> | undefined) {
  const before: number[] = [];
  const after: number[] = [];
  let side = before;
  for (const item of template?.single ?? []) {
    if ('Sequence' in item) {
      if (side === after)
        throw new InputError(`${path}: post_processor.single: expected the text once, found it twice`);
      side = after;
      continue;
    }
    const ids = template?.special_tokens[item.SpecialToken.id]?.ids;
    if (ids === undefined) {
      throw new InputError(
        `${path}: post_processor: expected ${excerpt(item.SpecialToken.id)} in special_tokens, found none`,
      );
    }
    if (before.length + after.length + ids.length > MOST_TEMPLATE_IDS) {
      throw new InputError(
        `${path}: post_processor: expected ${MOST_TEMPLATE_IDS} ids around a text at most, found more`,
      );
    }
    side.push(...ids);
  }
  return { before, after };
}
