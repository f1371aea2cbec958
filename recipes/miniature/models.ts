import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { float32ToBfloat16 } from '#src/formats/float16.js';
import { openModelWeights } from '#src/formats/modelShards.js';
import { readFloat32, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';

/** The two models of the miniature: Llama's architecture, small. Together under 8 MB in bf16. */

export const VOCABULARY_SIZE = 1024;

interface Shape {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
}

export const STUDENT: Shape = { hidden: 64, intermediate: 176, layers: 4, heads: 4, keyValueHeads: 2 };
export const TEACHER: Shape = { hidden: 160, intermediate: 432, layers: 6, heads: 5, keyValueHeads: 5 };

/** The contents of `config.json`, as transformers' LlamaConfig reads it. */
export const configOf = ({ hidden, intermediate, layers, heads, keyValueHeads }: Shape): object => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: VOCABULARY_SIZE,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: keyValueHeads,
  head_dim: hidden / heads,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  max_position_embeddings: 512,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  torch_dtype: 'bfloat16',
});

/** Copies a model folder with its weights rounded to bf16, to nearest, ties to even. */
export function copyAsBfloat16(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(from, name), join(to, name));
  const config = JSON.parse(readFileSync(join(from, 'config.json'), 'utf8')) as object;
  writeFileSync(
    join(to, 'config.json'),
    `${JSON.stringify({ ...config, torch_dtype: 'bfloat16' }, null, 2)}\n`,
  );
  const tensors = [...openModelWeights(from)].map(([name, info]): [string, TensorData] => {
    const values = readFloat32(info);
    const data = new Uint16Array(values.length);
    float32ToBfloat16(values, data);
    return [name, { dtype: 'BF16', shape: info.shape, data }];
  });
  writeSafetensors(join(to, 'model.safetensors'), new Map(tensors), { format: 'pt' });
}
