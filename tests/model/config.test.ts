import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readModelConfig, ropeFrequencies } from '#src/model/config.js';
import { inputErrorOf } from '../inputErrors.js';
import { sharedPath, temporaryFolder } from '../support.js';

function modelFolder(config: unknown): string {
  const folder = temporaryFolder('config');
  writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return folder;
}

/** As published with Llama-3.2-1B-Instruct. */
const LLAMA_1B = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 64,
  hidden_act: 'silu',
  hidden_size: 2048,
  initializer_range: 0.02,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.45.0.dev0',
  use_cache: true,
  vocab_size: 128256,
};

const EXPECTED_1B = {
  vocabularySize: 128256,
  hiddenSize: 2048,
  intermediateSize: 8192,
  layers: 16,
  heads: 32,
  keyValueHeads: 8,
  headDim: 64,
  normEps: 1e-5,
  ropeTheta: 500000,
  ropeScaling: {
    type: 'llama3',
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositions: 8192,
  },
  maxPositions: 131072,
  tiedEmbeddings: true,
  bosId: 128000,
  eosIds: [128001, 128008, 128009],
} as const;

const MINIMAL = {
  model_type: 'llama',
  vocab_size: 512,
  hidden_size: 96,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
};

test('every field of a published config arrives', () => {
  assert.equal(readModelConfig(modelFolder(LLAMA_1B)), EXPECTED_1B);
});

test('the newer form with rope_parameters gives the same', () => {
  const { rope_scaling, rope_theta, ...others } = LLAMA_1B;
  const newer = { ...others, rope_parameters: { ...rope_scaling, rope_theta } };
  assert.equal(readModelConfig(modelFolder(newer)), EXPECTED_1B);
});

test('the older key for the type of scaling is known too', () => {
  const { rope_type, ...values } = LLAMA_1B.rope_scaling;
  const older = { ...LLAMA_1B, rope_scaling: { ...values, type: rope_type } };
  assert.equal(readModelConfig(modelFolder(older)), EXPECTED_1B);
});

test('absent fields take the defaults of LlamaConfig', () => {
  const expected = {
    vocabularySize: 512,
    hiddenSize: 96,
    intermediateSize: 172,
    layers: 5,
    heads: 8,
    keyValueHeads: 8,
    headDim: 12,
    normEps: 1e-6,
    ropeTheta: 10000,
    maxPositions: 2048,
    tiedEmbeddings: false,
    eosIds: [],
  };
  assert.equal(readModelConfig(modelFolder(MINIMAL)), expected);
  const nulls = {
    num_key_value_heads: null,
    head_dim: null,
    rope_scaling: null,
    bos_token_id: null,
    eos_token_id: null,
  };
  assert.equal(readModelConfig(modelFolder({ ...MINIMAL, ...nulls })), expected);
  const plainRope = {
    rope_parameters: { rope_type: 'default', rope_theta: 10000.0 },
    quantization_config: null,
  };
  assert.equal(readModelConfig(modelFolder({ ...MINIMAL, ...plainRope })), expected);
});

test('heads may be wider than the hidden size, and one EOS is a list of one', () => {
  const config = readModelConfig(
    modelFolder({ ...MINIMAL, head_dim: 64, eos_token_id: 2, num_key_value_heads: 2 }),
  );
  assert.is(config.headDim, 64);
  assert.is(config.keyValueHeads, 2);
  assert.equal(config.eosIds, [2]);
});

const llama3 = LLAMA_1B.rope_scaling;
const REFUSED: [string, Record<string, unknown>, RegExp][] = [
  [
    'another model type',
    { model_type: 'gpt2' },
    /model_type: expected one of llama, mistral, qwen2, qwen3, found "gpt2"/,
  ],
  ['no model type', { model_type: undefined }, /model_type: .*found nothing/],
  ['another activation', { hidden_act: 'gelu' }, /hidden_act: expected "silu".*found "gelu"/],
  ['attention biases', { attention_bias: true }, /attention_bias: expected false.*found true/],
  ['mlp biases', { mlp_bias: true }, /mlp_bias: expected false.*found true/],
  [
    'quantised weights',
    { quantization_config: { bits: 4 } },
    /quantization_config: .*quantised.*found \{"bits":4\}/,
  ],
  [
    'yarn',
    { rope_scaling: { type: 'yarn', factor: 2 } },
    /rope_scaling\.rope_type: expected default or llama3, found yarn/,
  ],
  [
    'linear scaling',
    { rope_parameters: { rope_type: 'linear', factor: 2 } },
    /rope_parameters\.rope_type: .*found linear/,
  ],
  [
    'partly rotated heads',
    { rope_parameters: { partial_rotary_factor: 0.5 } },
    /partial_rotary_factor: expected 1 .*found 0\.5/,
  ],
  [
    'llama3 without a factor',
    { rope_scaling: { ...llama3, factor: undefined } },
    /expected factor, .*found undefined, 1, 4, 8192/,
  ],
  [
    'llama3 with equal bounds',
    { rope_scaling: { ...llama3, low_freq_factor: 4 } },
    /low_freq_factor < high_freq_factor/,
  ],
  ['no vocabulary', { vocab_size: undefined }, /vocab_size: expected .*found nothing/],
  ['a size of zero', { num_hidden_layers: 0 }, /num_hidden_layers: .*found 0/],
  ['a fractional size', { hidden_size: 64.5 }, /hidden_size: .*found 64\.5/],
  ['a size as text', { hidden_size: '96' }, /hidden_size: expected number, found "96"/],
  [
    'heads that do not divide the hidden size',
    { num_attention_heads: 7 },
    /head_dim: expected an even integer.*found 13\.7/,
  ],
  ['heads of an odd size', { head_dim: 13 }, /head_dim: .*found 13/],
  [
    'key/value heads that do not divide the heads',
    { num_key_value_heads: 3 },
    /num_key_value_heads: expected a divisor of 8, found 3/,
  ],
  ['a negative eps', { rms_norm_eps: -1 }, /rms_norm_eps: .*found -1/],
  ['a negative EOS', { eos_token_id: [1, -1] }, /eos_token_id/],
];

for (const [what, changes, expected] of REFUSED) {
  test(`refused by name: ${what}`, async () => {
    const folder = modelFolder({ ...MINIMAL, ...changes });
    const message = await inputErrorOf(() => readModelConfig(folder));
    assert.ok(message.startsWith(`${join(folder, 'config.json')}: `), message);
    assert.match(message, expected);
  });
}

test('all wrong fields are named at once', async () => {
  const message = await inputErrorOf(() =>
    readModelConfig(modelFolder({ ...MINIMAL, vocab_size: -1, hidden_act: 'relu' })),
  );
  assert.match(message, /hidden_act: .*; vocab_size: /);
});

test('files that are no config are refused', async () => {
  assert.match(
    await inputErrorOf(() => readModelConfig(temporaryFolder('config'))),
    /config\.json: .*ENOENT/,
  );
  assert.match(
    await inputErrorOf(() => readModelConfig(modelFolder('{\n"a" 1}'))),
    /config\.json: expected JSON, found /,
  );
  assert.match(
    await inputErrorOf(() => readModelConfig(modelFolder('[]'))),
    /config\.json: file: expected object, found \[\]/,
  );
});

/** ROPE_INIT_FUNCTIONS['llama3'] of transformers 5.24 in float32 for LLAMA_1B; pairs 15 to 17 lie in the blended band. */
const LLAMA3_FREQUENCIES: [number, number][] = [
  [0, 1.0],
  [1, 0.663601279258728],
  [14, 0.0032114461064338684],
  [15, 0.0012905480107292533],
  [16, 0.000429556705057621],
  [17, 9.708286233944818e-5],
  [18, 1.9461638657958247e-5],
  [31, 9.418306490260875e-8],
];

test('llama3 frequencies are those of transformers', () => {
  const frequencies = ropeFrequencies(readModelConfig(modelFolder(LLAMA_1B)));
  assert.is(frequencies.length, 32);
  for (const [pair, expected] of LLAMA3_FREQUENCIES) {
    // float32 powers are off by an ulp or two, and the blend subtracts numbers of the same size.
    assert.ok(Math.abs(frequencies[pair]! / expected - 1) < 2e-6, `pair ${pair}: ${frequencies[pair]}`);
  }
});

test('plain frequencies are theta^(-2i / headDim)', () => {
  const frequencies = ropeFrequencies({ headDim: 8, ropeTheta: 10000 });
  assert.equal(
    [...frequencies].map((value) => Number(value.toPrecision(12))),
    [1, 0.1, 0.01, 0.001],
  );
});

const stories = sharedPath('data/models/stories260k');
(stories ? test : test.skip)('a real model is read', () => {
  const config = readModelConfig(stories!);
  assert.is(config.headDim, 8);
  assert.is(config.keyValueHeads, 4);
  assert.is(config.ropeScaling, undefined);
  assert.equal([config.bosId, ...config.eosIds], [1, 2]);
});

test.run();
