import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ModelConfig } from '#src/model/config.js';
import {
  adapterConfig,
  checkPatterns,
  checkSingularStart,
  type LoraOptions,
  loraOptions,
  loraRank,
  loraScale,
  loraShapes,
  parameterCount,
  TARGET_MODULES,
  targetModules,
} from '#src/model/lora.js';
import { randomLora } from '#src/training/initialise.js';
import { inputErrorOf } from '../inputErrors.js';

const llama1b: ModelConfig = {
  vocabularySize: 128_256,
  hiddenSize: 2048,
  intermediateSize: 8192,
  layers: 16,
  heads: 32,
  keyValueHeads: 8,
  headDim: 64,
  normEps: 1e-5,
  ropeTheta: 500_000,
  maxPositions: 131_072,
  tiedEmbeddings: true,
  eosIds: [],
};
const options = (rank: number, targets = TARGET_MODULES): LoraOptions => ({
  ...{ rank, alpha: 2 * rank, rsLora: false, dropout: 0, targetModules: targets },
});

const shapes = suite('shapes');

for (const [rank, parameters] of [
  [8, 5_636_096],
  [32, 22_544_384],
  [64, 45_088_768],
  [128, 90_177_536],
] as const) {
  shapes(`rank ${rank} on Llama-3.2-1B has ${parameters} parameters`, () => {
    assert.is(parameterCount(loraShapes(llama1b, options(rank))), parameters);
  });
}

shapes('A is [rank, in] and B [out, rank], in the order of the forward pass', () => {
  const config = { ...llama1b, layers: 2 };
  assert.equal(
    [...loraShapes(config, options(4, ['k_proj', 'down_proj']))],
    [0, 1].flatMap((block) => [
      [`model.layers.${block}.self_attn.k_proj.lora_A.weight`, [4, 2048]],
      [`model.layers.${block}.self_attn.k_proj.lora_B.weight`, [512, 4]],
      [`model.layers.${block}.mlp.down_proj.lora_A.weight`, [4, 8192]],
      [`model.layers.${block}.mlp.down_proj.lora_B.weight`, [2048, 4]],
    ]),
  );
});

shapes('a rank may be above both sides of a layer, as in PEFT', () => {
  const shapes = loraShapes(llama1b, { ...options(8, ['k_proj']), rankPattern: { k_proj: 4096 } });
  assert.is(shapes.size, 2 * 16);
  assert.equal(shapes.get('model.layers.0.self_attn.k_proj.lora_A.weight'), [4096, 2048]);
  assert.equal(shapes.get('model.layers.0.self_attn.k_proj.lora_B.weight'), [512, 4096]);
});

shapes('modules may be named one by one, in any order; those that the model lacks are none', () => {
  const [q, down] = ['model.layers.1.self_attn.q_proj', 'model.layers.0.mlp.down_proj'];
  const lora = { ...options(4), modules: [q!, down!, 'model.layers.16.mlp.up_proj', 'lm_head'] };
  assert.equal(
    [...loraShapes(llama1b, lora).keys()],
    [down, q].flatMap((name) => [`${name}.lora_A.weight`, `${name}.lora_B.weight`]),
  );
});

for (const [rankPattern, found] of [
  [{ k_proj: 2.5 }, /^--rank-pattern: expected a whole number for .*k_proj, found 2\.5$/],
  [
    { 'k_proj(': 4 },
    /^rank and alpha patterns: expected .* regular expression for it, found "k_proj\("; name the layers instead$/,
  ],
] as const) {
  shapes(`the rank pattern ${JSON.stringify(rankPattern)} is refused`, async () => {
    assert.match(await inputErrorOf(() => loraShapes(llama1b, { ...options(8), rankPattern })), found);
  });
}

shapes('a pattern for no adapted layer is refused, and names some that there are', async () => {
  const small = { ...llama1b, layers: 2 };
  const targets = { ...options(8, ['q_proj', 'v_proj']) };
  const [q, v] = ['q_proj', 'v_proj'].map((name) => `model.layers.0.self_attn.${name}`);
  for (const rankPattern of [{ q_proj: 4 }, { '.*\\.1\\..*': 2 }, { [v!]: 3 }, {}]) {
    checkPatterns(small, { ...targets, rankPattern, alphaPattern: rankPattern });
  }
  assert.is(
    await inputErrorOf(() =>
      checkPatterns(small, { ...targets, rankPattern: { v_proj: 2, qproj: 4, up_proj: 4 } }),
    ),
    `--rank-pattern: expected ends of names of adapted layers, found qproj, up_proj, which no layer ends in; ` +
      `there are ${q}, ${v}, model.layers.1.self_attn.q_proj, ... (4)`,
  );
  const alphaPattern = { 'layers.2.self_attn.q_proj': 4 };
  assert.match(
    await inputErrorOf(() => checkPatterns(small, { ...targets, alphaPattern })),
    /^--alpha-pattern: .*, found layers\.2\.self_attn\.q_proj, which no layer ends in; /,
  );
});

shapes('an adapter that began with singular vectors is saved at twice the rank and the same scale', () => {
  for (const rsLora of [false, true]) {
    const started: LoraOptions = {
      ...{ ...options(6), alpha: 5, rsLora, start: 'pissa' },
      ...{ rankPattern: { v_proj: 3 }, alphaPattern: { q_proj: 7, v_proj: 2 } },
    };
    const saved = loraOptions(adapterConfig(started, 'base'), llama1b);
    assert.is(saved.start, undefined);
    for (const module of ['q_proj', 'k_proj', 'v_proj'].map((name) => `model.layers.3.self_attn.${name}`)) {
      assert.is(loraRank(saved, module), 2 * loraRank(started, module));
      const [is, was] = [saved, started].map((lora) => loraScale(lora, module));
      assert.ok(Math.abs(is! - was!) <= 1e-15 * was!, `${module}: ${is} for ${was}`);
    }
  }
});

shapes('a rank above the singular vectors of a layer is refused where they are the start', async () => {
  const start = 'milora';
  checkSingularStart(llama1b, { ...options(512), start });
  checkSingularStart(llama1b, options(9999));
  assert.is(
    await inputErrorOf(() => checkSingularStart(llama1b, { ...options(513), start })),
    '--init milora: expected a rank of at most 512 for model.layers.0.self_attn.k_proj, which has no more singular ' +
      'vectors, found 513; lower --rank or --rank-pattern',
  );
});

shapes.run();

const start = suite('random start');
const small = loraShapes({ ...llama1b, layers: 2 }, options(8, ['q_proj', 'down_proj']));

start('B is 0, A is uniform within 1 / sqrt(in)', () => {
  for (const [name, { shape, data }] of randomLora(small, 1)) {
    assert.equal(shape, small.get(name));
    if (name.endsWith('lora_B.weight')) {
      assert.ok(data.every((x) => x === 0));
      continue;
    }
    const bound = 1 / Math.sqrt(shape[1]!);
    const scaled = data.map((x) => x / bound);
    const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x, 0) / values.length;
    assert.ok(scaled.every((x) => Math.abs(x) <= 1));
    assert.ok(scaled.some((x) => x > 0.99) && scaled.some((x) => x < -0.99));
    // Of n uniform numbers: mean 0 +- 0.58 / sqrt n, mean square 1/3 +- 0.3 / sqrt n.
    assert.ok(Math.abs(mean(scaled)) < 3 / Math.sqrt(data.length));
    assert.ok(Math.abs(mean(scaled.map((x) => x * x)) - 1 / 3) < 2 / Math.sqrt(data.length));
  }
});

start('depends on the seed and on nothing else; layers differ', () => {
  const [once, again, other] = [randomLora(small, 1), randomLora(small, 1), randomLora(small, 2)];
  assert.equal([...once], [...again]);
  const factors = [once, other].map((tensors) =>
    [...tensors]
      .filter(([name]) => name.endsWith('A.weight'))
      .map(([, { data }]) => data.slice(0, 64).join()),
  );
  assert.is(new Set(factors.flat()).size, 2 * 4);
});

start.run();

const configuration = suite('configuration');

configuration('the scale is alpha / rank, with rsLoRA alpha / sqrt(rank)', () => {
  const module = 'model.layers.3.self_attn.q_proj';
  assert.is(loraScale({ ...options(64), alpha: 16 }, module), 0.25);
  assert.is(loraScale({ ...options(64), alpha: 16, rsLora: true }, module), 2);
});

configuration("patterns match the end of a module's name, the first one wins, as in PEFT", () => {
  const patterned = {
    ...{ ...options(8), alpha: 16 },
    rankPattern: { q_proj: 4, 'layers.1.self_attn.v_proj': 2, '.*.[02].mlp.up_proj': 6, proj: 99 },
    alphaPattern: { q_proj: 32 },
  };
  const rankOf = (name: string) => loraRank(patterned, `model.layers.${name}`);
  assert.is(rankOf('0.self_attn.q_proj'), 4);
  assert.is(rankOf('1.self_attn.v_proj'), 2);
  assert.is(rankOf('11.self_attn.v_proj'), 8);
  assert.is(rankOf('2.mlp.up_proj'), 6);
  assert.is(rankOf('1.mlp.up_proj'), 8);
  assert.is(loraScale(patterned, 'model.layers.0.self_attn.q_proj'), 8);
  assert.is(loraScale(patterned, 'model.layers.0.self_attn.k_proj'), 2);
});

configuration(
  'an expression of Python that means something else here changes no scale: it is refused',
  async () => {
    for (const key of ['q_proj\\Z', '\\Amodel.*q_proj', 'model.layers.\\d{,2}.self_attn.q_proj']) {
      const patterned = { ...options(8), alphaPattern: { [key]: 32 } };
      assert.match(
        await inputErrorOf(() => loraScale(patterned, 'model.layers.0.self_attn.q_proj')),
        /^rank and alpha patterns: expected .* regular expression for it, found ".*"; name the layers instead$/,
      );
    }
  },
);

configuration('all-linear is all seven layers; names come in the order of the forward pass', () => {
  const all = 'q_proj k_proj v_proj o_proj gate_proj up_proj down_proj'.split(' ');
  assert.equal(targetModules(['all-linear']), all);
  assert.equal(targetModules(['up_proj', 'q_proj', 'v_proj']), ['q_proj', 'v_proj', 'up_proj']);
});

configuration('unknown names of layers are refused, with those that exist', async () => {
  for (const names of [['q_proj', 'lm_head'], ['all-linear', 'q_proj'], ['']]) {
    const message = await inputErrorOf(() => targetModules(names));
    assert.match(message, /^--target-modules: expected all-linear or some of q_proj, k_proj, .*, found /);
  }
  assert.match(await inputErrorOf(() => targetModules([])), /found none$/);
});

configuration("survives PEFT's configuration", () => {
  const patterns = { rankPattern: { q_proj: 2 }, alphaPattern: { down_proj: 3 } };
  const wanted = { ...options(4, ['q_proj', 'down_proj']), rsLora: true, dropout: 0.1, ...patterns };
  const config = adapterConfig(wanted, 'base');
  assert.is(config.baseModel, 'base');
  assert.equal(loraOptions({ ...config, targetModules: [...config.targetModules].sort() }, llama1b), wanted);
});

configuration("an adapter's modules stay named where they are not all of their kinds", () => {
  const small = { ...llama1b, layers: 2 };
  const modules = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj'];
  const read = (names: string[]) => {
    const adapter = adapterConfig(options(4, ['q_proj']), 'base');
    return loraOptions({ ...adapter, modules: names }, small);
  };
  assert.is(read(modules).modules, undefined);
  for (const names of [modules.slice(1), []]) {
    assert.equal(read(names).modules, names);
    assert.equal(adapterConfig(read(names), 'base').modules, names);
  }
});

configuration.run();
