import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AdapterConfig,
  type AdapterTensor,
  checkAdapter,
  openAdapter,
  readAdapter,
  writeAdapter,
} from '#src/formats/adapter.js';
import { openSafetensors, type TensorData, writeSafetensors } from '#src/formats/safetensors.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { floatSources } from './tensors.js';

const config: AdapterConfig = {
  rank: 2,
  alpha: 4,
  rsLora: false,
  dropout: 0.25,
  rankPattern: {},
  alphaPattern: {},
  targetModules: ['down_proj', 'q_proj'],
  baseModel: 'models/small',
};
const names = ['model.layers.0.mlp.down_proj', 'model.layers.0.self_attn.q_proj'];
const expected = new Map<string, number[]>(
  names.flatMap((name): [string, number[]][] => [
    [`${name}.lora_A.weight`, [2, 3]],
    [`${name}.lora_B.weight`, [4, 2]],
  ]),
);

function tensors(): Map<string, AdapterTensor> {
  return new Map(
    [...expected].map(([name, shape], i) => [
      name,
      { shape, data: Float32Array.from({ length: shape[0]! * shape[1]! }, (_, j) => i + j / 8) },
    ]),
  );
}

/** A folder as PEFT writes it: all the fields of its LoraConfig at their defaults (0.21.2), then `changes`. */
function peftFolder(changes: Record<string, unknown>): string {
  const folder = temporaryFolder('peft');
  const defaults = {
    alora_invocation_tokens: null,
    alpha_pattern: {},
    arrow_config: null,
    auto_mapping: null,
    base_model_name_or_path: 'base',
    bias: 'none',
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    kasa_config: null,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: 16,
    lora_bias: false,
    lora_dropout: 0.0,
    lora_ga_config: null,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    monteclora_config: null,
    peft_type: 'LORA',
    peft_version: '0.21.2',
    qalora_group_size: 16,
    r: 2,
    rank_pattern: {},
    revision: null,
    target_modules: names,
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_bdlora: null,
    use_dora: false,
    use_qalora: false,
    use_rslora: false,
    velora_config: null,
  };
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ ...defaults, ...changes }));
  writeWeights(folder, new Map([...tensors()].map(([name, tensor]) => [name, { dtype: 'F32', ...tensor }])));
  return folder;
}

function writeWeights(folder: string, entries: Map<string, TensorData>): void {
  const prefixed = [...entries].map(([name, tensor]): [string, TensorData] => [
    `base_model.model.${name}`,
    tensor,
  ]);
  writeSafetensors(join(folder, 'adapter_model.safetensors'), new Map(prefixed));
}

test('the files are those of PEFT, to the letter', async () => {
  const folder = join(temporaryFolder('adapter'), 'adapter');
  await writeAdapter(folder, config, floatSources(tensors()));
  assert.equal(readdirSync(folder).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
  assert.equal(JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8')), {
    alpha_pattern: {},
    base_model_name_or_path: 'models/small',
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: 4,
    lora_dropout: 0.25,
    modules_to_save: null,
    peft_type: 'LORA',
    r: 2,
    rank_pattern: {},
    target_modules: ['down_proj', 'q_proj'],
    task_type: 'CAUSAL_LM',
    use_rslora: false,
  });
  const weights = openSafetensors(join(folder, 'adapter_model.safetensors'));
  assert.equal(
    [...weights.tensors.keys()],
    [
      'base_model.model.model.layers.0.mlp.down_proj.lora_A.weight',
      'base_model.model.model.layers.0.mlp.down_proj.lora_B.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight',
    ],
  );
  assert.equal(weights.metadata, { format: 'pt' });
});

test('what is written is read', async () => {
  for (const rsLora of [false, true]) {
    const folder = join(temporaryFolder('adapter'), 'adapter');
    await writeAdapter(folder, { ...config, rsLora, alpha: 4.5 }, floatSources(tensors()));
    const adapter = readAdapter(folder);
    assert.equal(adapter.config, { ...config, rsLora, alpha: 4.5 });
    assert.equal(new Map([...adapter.tensors].sort()), new Map([...tensors()].sort()));
    checkAdapter(adapter, expected);
  }
});

test('an existing folder keeps its other files; only the same configuration replaces an adapter', async () => {
  const folder = temporaryFolder('adapter');
  writeFileSync(join(folder, 'README.md'), 'mine');
  await writeAdapter(folder, config, floatSources(tensors()));
  const changed = tensors();
  changed.get(`${names[0]}.lora_A.weight`)!.data[0] = 77;
  await writeAdapter(folder, config, floatSources(changed));
  assert.is(readAdapter(folder).tensors.get(`${names[0]}.lora_A.weight`)!.data[0], 77);
  const message = await inputErrorOf(() =>
    writeAdapter(folder, { ...config, alpha: 5 }, floatSources(tensors())),
  );
  assert.match(message, /expected no adapter of another configuration/);
  assert.is(readAdapter(folder).config.alpha, 4);
  assert.equal(readdirSync(folder).sort(), ['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
});

test('an adapter as PEFT saves it is read, whatever form its target has', () => {
  const whole = [['q_proj', 'mlp.down_proj'], 'all-linear', null];
  for (const target of [names, '.*(q|down)_proj', ['0.self_attn.q_proj', 'down_proj'], ...whole]) {
    const adapter = readAdapter(peftFolder({ target_modules: target }));
    assert.equal(adapter.config, {
      rank: 2,
      alpha: 16,
      rsLora: false,
      dropout: 0,
      rankPattern: {},
      alphaPattern: {},
      targetModules: ['down_proj', 'q_proj'],
      ...(!whole.includes(target) && { modules: names }),
      baseModel: 'base',
    });
    checkAdapter(adapter, expected);
  }
});

test('patterns of ranks and alphas are read', () => {
  const patterns = { rank_pattern: { q_proj: 4 }, alpha_pattern: { 'mlp.down_proj': 8 } };
  const { rankPattern, alphaPattern } = readAdapter(peftFolder(patterns)).config;
  assert.equal({ rank_pattern: rankPattern, alpha_pattern: alphaPattern }, patterns);
});

test('f16 and bf16 tensors are read as float32', () => {
  const folder = peftFolder({});
  writeWeights(
    folder,
    new Map<string, TensorData>([
      ['a', { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) }],
      ['b', { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc000) }],
    ]),
  );
  const { tensors: read } = readAdapter(folder);
  for (const name of ['a', 'b']) assert.equal(read.get(name), { shape: [2], data: Float32Array.of(1, -2) });
});

test('a tensor under two names is refused', async () => {
  const folder = peftFolder({});
  const tensor: TensorData = { dtype: 'F32', shape: [1], data: Float32Array.of(1) };
  const keys = ['x', 'base_model.model.x'];
  writeSafetensors(join(folder, 'adapter_model.safetensors'), new Map(keys.map((key) => [key, tensor])));
  for (const read of [readAdapter, openAdapter]) {
    assert.match(
      await inputErrorOf(() => read(folder)),
      /adapter_model\.safetensors: expected each tensor once, found "x" and "base_model\.model\.x", which are one; save it/,
    );
  }
});

test('layers that are left out of an adapter are those that it has no tensors for', () => {
  const q = (layer: number) => `model.layers.${layer}.self_attn.q_proj`;
  const cases: [changes: Record<string, unknown>, modules: string[] | undefined][] = [
    [{ target_modules: ['q_proj', 'down_proj', 'up_proj'], exclude_modules: ['up_proj'] }, undefined],
    [{ target_modules: ['q_proj', 'down_proj'], layers_to_transform: [] }, undefined],
    [{ target_modules: ['q_proj'], exclude_modules: '.*layers\\.[1-9].*' }, names],
    [{ target_modules: names, exclude_modules: ['layers.1.self_attn.q_proj'] }, names],
    [{ target_modules: ['q_proj', 'down_proj'], layers_to_transform: 0, layers_pattern: 'layers' }, names],
    // Those that are named one by one have to be there.
    [{ target_modules: [q(0), q(3)] }, [...names, q(3)]],
    [
      { layers_to_transform: [0, 2], target_modules: ['q_proj', 'down_proj'] },
      [...names, 'model.layers.2.mlp.down_proj', q(2)],
    ],
  ];
  for (const [changes, modules] of cases) {
    assert.equal(readAdapter(peftFolder(changes)).config.modules, modules, JSON.stringify(changes));
  }
});

test('the modules of an adapter that has not all layers are written as its target, and read again', async () => {
  const folder = join(temporaryFolder('adapter'), 'adapter');
  await writeAdapter(folder, { ...config, modules: names }, floatSources(tensors()));
  const { target_modules } = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8'));
  assert.equal(target_modules, names);
  assert.equal(readAdapter(folder).config, { ...config, modules: names });
});

test('adapters of other methods are refused by their type, whatever else they lack', async () => {
  for (const type of ['IA3', 'PREFIX_TUNING', 'PROMPT_TUNING', 'VERA']) {
    const folder = temporaryFolder('peft');
    writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: type }));
    const message = await inputErrorOf(() => readAdapter(folder));
    assert.match(message, `expected a plain LoRA adapter, found peft_type "${type}"; choose one of`);
  }
});

test('weights that are a pickle are refused, with how to convert them', async () => {
  const folder = peftFolder({});
  renameSync(join(folder, 'adapter_model.safetensors'), join(folder, 'adapter_model.bin'));
  const message = await inputErrorOf(() => readAdapter(folder));
  assert.match(
    message,
    /adapter_model\.bin: expected adapter_model\.safetensors, found a pickle, .*python -c "/,
  );
});

const UNSUPPORTED: [string, unknown][] = [
  ['use_dora', true],
  ['modules_to_save', ['lm_head']],
  ['bias', 'all'],
  ['bias', 'lora_only'],
  ['lora_bias', true],
  ['layer_replication', [[0, 1]]],
  ['trainable_token_indices', [1]],
  ['target_parameters', ['experts.w']],
  ['alora_invocation_tokens', [1]],
  ['use_qalora', true],
  ['kasa_config', { beta: 1 }],
  ['init_lora_weights', 'pissa'],
  ['init_lora_weights', 'pissa_niter_4'],
  ['init_lora_weights', 'olora'],
  ['init_lora_weights', 'loftq'],
  ['init_lora_weights', 'mica'],
  ['peft_type', 'LOHA'],
  ['a_feature_of_tomorrow', 1],
];

for (const [key, value] of UNSUPPORTED) {
  test(`refused by name: ${key} ${JSON.stringify(value)}`, async () => {
    const message = await inputErrorOf(() => readAdapter(peftFolder({ [key]: value })));
    assert.match(message, /adapter_config\.json: expected a plain LoRA adapter, found /);
    assert.ok(message.includes(`${key} ${JSON.stringify(value)}`), message);
  });
}

test('all unsupported features are named at once', async () => {
  const message = await inputErrorOf(() => readAdapter(peftFolder({ use_dora: true, bias: 'all' })));
  assert.match(message, /found bias "all", use_dora true;/);
});

test('initialisations that leave the base model alone are accepted', () => {
  for (const init of [true, false, 'gaussian', 'eva', 'orthogonal']) {
    assert.is(readAdapter(peftFolder({ init_lora_weights: init })).config.rank, 2);
  }
});

test('what changes nothing in linear layers is accepted, as by PEFT', () => {
  assert.is(readAdapter(peftFolder({ fan_in_fan_out: true })).config.rank, 2);
});

test('configurations with missing or wrong fields are refused', async () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ r: undefined }, /r: .*found nothing/],
    [{ r: 0 }, /r: .*found 0/],
    [{ r: 2.5 }, /r: .*found 2\.5/],
    [{ lora_alpha: '16' }, /lora_alpha: .*found "16"/],
    [{ lora_dropout: 1 }, /lora_dropout: .*found 1/],
    [{ peft_type: undefined }, /peft_type: .*found nothing/],
  ];
  for (const [changes, message] of cases) {
    assert.match(await inputErrorOf(() => readAdapter(peftFolder(changes))), message);
  }
  const folder = temporaryFolder('adapter');
  assert.match(await inputErrorOf(() => readAdapter(folder)), /adapter_config\.json: .*ENOENT/);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: 2 }));
  assert.match(await inputErrorOf(() => readAdapter(folder)), /adapter_model\.safetensors: .*ENOENT/);
  writeSafetensors(join(folder, 'adapter_model.safetensors'), new Map());
  assert.match(
    await inputErrorOf(() => readAdapter(folder)),
    /adapter_model\.safetensors: expected the factors of an adapter, found no tensors; /,
  );
  rmSync(join(folder, 'adapter_model.safetensors'));
  mkdirSync(join(folder, 'adapter_model.safetensors'));
  assert.match(
    await inputErrorOf(() => readAdapter(folder)),
    /adapter_model\.safetensors: .*found something else/,
  );
});

test('every tensor that does not fit is named, once and for all', async () => {
  const adapter = readAdapter(peftFolder({}));
  adapter.tensors.delete(`${names[0]}.lora_A.weight`);
  adapter.tensors.delete(`${names[1]}.lora_A.weight`);
  adapter.tensors.set('lm_head.lora_A.weight', { shape: [2, 3], data: new Float32Array(6) });
  adapter.tensors.set(`${names[1]}.lora_B.weight`, { shape: [2, 4], data: new Float32Array(8) });
  const message = await inputErrorOf(() => checkAdapter(adapter, expected));
  assert.ok(message.startsWith(join(adapter.folder, 'adapter_model.safetensors: ')));
  assert.ok(message.includes(`missing (2): ${names[0]}.lora_A.weight, ${names[1]}.lora_A.weight; `), message);
  assert.ok(message.includes('unexpected (1): lm_head.lora_A.weight; '), message);
  assert.ok(
    message.includes(`of the wrong shape (1): ${names[1]}.lora_B.weight [2,4] (expected [4,2])`),
    message,
  );
});

test.run();
