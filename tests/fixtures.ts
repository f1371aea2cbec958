import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUint32 } from '#src/data/random.js';
import { type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { readModelConfig } from '#src/model/config.js';
import { weightShapes } from '#src/model/weights.js';
import { byteTokens, sentencePiece } from './data/vocabularies.js';
import { temporaryFolder } from './support.js';

/** Models and texts made from seeds, small enough for whole runs to take a second, for tests on any machine. */

const WORDS = [
  'the',
  'cat',
  'dog',
  'sat',
  'on',
  'a',
  'mat',
  'and',
  'ran',
  'to',
  'red',
  'house',
  'with',
  'tree',
];
const STREAM = { words: 1, lengths: 2, weights: 1000 };

const uniform = (seed: number, stream: number, counter: number): number =>
  randomUint32(seed, stream, counter) / 2 ** 32;

/** `count` words from a seed; what follows a word depends on it, so that there is something to learn. */
export function makeText(seed: number, count: number): string {
  let word = 0;
  const words = Array.from({ length: count }, (_, i) => {
    word = (3 * word + Math.floor(4 * uniform(seed, STREAM.words, i))) % WORDS.length;
    return WORDS[word]! + (i % 11 === 10 ? '.' : '');
  });
  return `${words.join(' ')}\n`;
}

/** Lines of `.jsonl`, each a document of 2 to 41 words. */
export function makeJsonl(seed: number, documents: number): string {
  const lines = Array.from({ length: documents }, (_, i) => {
    const count = 2 + Math.floor(40 * uniform(seed, STREAM.lengths, i));
    return JSON.stringify({ text: makeText(seed + 1 + i, count) });
  });
  return `${lines.join('\n')}\n`;
}

/** Lines of `.jsonl`, each a conversation of 2 or 4 turns. */
export function makeChat(seed: number, conversations: number): string {
  const lines = Array.from({ length: conversations }, (_, i) => {
    const turns = 2 + 2 * (i % 2);
    const messages = Array.from({ length: turns }, (_, turn) => ({
      role: turn % 2 === 0 ? 'user' : 'assistant',
      content: makeText(seed + 10 * i + turn, 2 + ((i + turn) % 7)).trim(),
    }));
    return JSON.stringify({ messages });
  });
  return `${lines.join('\n')}\n`;
}

/** Turns with their roles; `</s>` ends one of the assistant. */
export const CHAT_TEMPLATE =
  '{% for m in messages %}[{{ m.role }}] {{ m.content }}{% if m.role == "assistant" %}</s>{% endif %}\n\n' +
  '{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}';

/** Conversations, and two templates to write them with, in a folder. */
export function makeChatFiles(folder: string) {
  const write = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  return {
    chat: write('chat.jsonl', makeChat(11, 40)),
    plainTemplate: write('plain.jinja', CHAT_TEMPLATE),
    otherTemplate: write('other.jinja', CHAT_TEMPLATE.replaceAll('[', '(')),
  };
}

/** Every word from its letters: "▁ c", "▁c a", "▁ca t"; bytes stand for what is no word. */
function makeTokenizer(): object {
  const merges = new Set<string>();
  for (const word of WORDS) {
    let known = '▁';
    for (const letter of word) {
      merges.add(`${known} ${letter}`);
      known += letter;
    }
  }
  return sentencePiece({ symbols: byteTokens, merges: [...merges] });
}

/** A `config.json`; what is left out is as in STUDENT. */
export type RawConfig = Readonly<Record<string, unknown>>;

export const STUDENT: RawConfig = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  vocab_size: 368,
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  max_position_embeddings: 128,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: 'float32',
};

export const TEACHER: RawConfig = {
  ...STUDENT,
  vocab_size: 376,
  hidden_size: 32,
  intermediate_size: 64,
  head_dim: 16,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
};

/** Random weights: norms around 1, matrices as large as keeps activations about as large as their inputs. */
function randomTensor(shape: readonly number[], seed: number, stream: number, isBf16: boolean): TensorData {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const isNorm = shape.length === 1;
  const bound = isNorm ? 0.2 : Math.sqrt(3 / shape[1]!);
  for (let i = 0; i < data.length; i++) {
    data[i] = (isNorm ? 1 : 0) + bound * (2 * uniform(seed, STREAM.weights + stream, i) - 1);
  }
  if (!isBf16) return { dtype: 'F32', shape, data };
  const upperHalves = new Uint32Array(data.buffer).map((bits) => bits >>> 16);
  return { dtype: 'BF16', shape, data: Uint16Array.from(upperHalves) };
}

/** A Hugging Face folder with random weights and the tokenizer of these texts. @returns its path */
export function writeModel(folder: string, config: RawConfig, seed: number): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(makeTokenizer()));
  writeFileSync(join(folder, 'tokenizer_config.json'), '{"bos_token": "<s>", "eos_token": "</s>"}');
  const isBf16 = config.torch_dtype === 'bfloat16';
  const tensors = [...weightShapes(readModelConfig(folder))].map(
    ([name, shape], stream) => [name, randomTensor(shape, seed, stream, isBf16)] as const,
  );
  writeSafetensors(join(folder, 'model.safetensors'), new Map(tensors), { format: 'pt' });
  return folder;
}

export interface Fixture {
  readonly folder: string;
  readonly student: string;
  /** Wider than the student, bf16, with a padded vocabulary and a head of its own. */
  readonly teacher: string;
  /** One document. */
  readonly text: string;
  /** 40 documents. */
  readonly jsonl: string;
}

/** A student, a teacher and texts in a fresh temporary folder. */
export function makeFixture(label: string): Fixture {
  const folder = temporaryFolder(label);
  const [text, jsonl] = [join(folder, 'text.txt'), join(folder, 'documents.jsonl')];
  writeFileSync(text, makeText(1, 500));
  writeFileSync(jsonl, makeJsonl(2, 40));
  return {
    folder,
    student: writeModel(join(folder, 'student'), STUDENT, 3),
    teacher: writeModel(join(folder, 'teacher'), TEACHER, 4),
    text,
    jsonl,
  };
}
