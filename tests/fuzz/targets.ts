import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadTokenizer } from '#src/data/tokenizer.js';
import { checkAdapter, readAdapter, writeAdapter } from '#src/formats/adapter.js';
import { readCheckpoint, writeCheckpoint } from '#src/formats/checkpoint.js';
import { readConfigFile } from '#src/formats/configFile.js';
import { runPaths } from '#src/formats/runFolder.js';
import {
  openSafetensors,
  type TensorInfo,
  tensorChunks,
  writeSafetensors,
} from '#src/formats/safetensors.js';
import { readModelConfig } from '#src/model/config.js';
import { adapterConfig, type LoraOptions, loraOptions, loraShapes } from '#src/model/lora.js';
import { blankModelFiles, openModelFiles } from '#src/model/modelFiles.js';
import { weightShapes } from '#src/model/weights.js';
import { TRAIN_OPTIONS } from '#src/options/train.js';
import { resolveOptions } from '#src/prepare/resolveOptions.js';
import { STUDENT, writeModel } from '../fixtures.js';
import { floatSource, readBytes } from '../formats/tensors.js';
import { temporaryFolder } from '../support.js';
import { makeChatTargets } from './chatTargets.js';
import { type Dice, type Mutated, mutateBytes, mutateHeader, mutateJson, mutateYaml } from './mutations.js';

/** Small valid inputs and the loaders that read them. */

type Mutation = (dice: Dice, bytes: Buffer) => Mutated;

export interface Target {
  readonly name: string;
  readonly folder: string;
  /** Paths in the folder that may be damaged, with the ways to do it. */
  readonly files: Readonly<Record<string, readonly Mutation[]>>;
  /** What it may take beyond that of all others. */
  readonly extraBytes?: number;
  /** Reads the folder as a program would. */
  readonly load: (folder: string) => unknown;
}

const JSON_FILE = [mutateJson, mutateJson, mutateBytes];
const TENSORS = [mutateHeader, mutateBytes];

/** With a little of everything that the format has. */
const LORA: LoraOptions = {
  ...{ rank: 2, alpha: 4, rsLora: false, dropout: 0 },
  ...{ targetModules: ['q_proj', 'down_proj'], rankPattern: { down_proj: 3 }, alphaPattern: { q_proj: 1 } },
};

const RUN_OPTIONS = {
  ...{ student: 'student', teacher: 'teacher', data: ['a.txt', 'b.txt'], batch: 4, sequence: 16, steps: 2 },
  ...{ lr: 0.01, schedule: 'linear', rankPattern: { q_proj: 4 }, eos: true },
};

function readAll(tensors: Iterable<TensorInfo>): number {
  let bytes = 0;
  for (const info of tensors) {
    for (const chunk of tensorChunks(info)) bytes += chunk.bytes.length;
  }
  return bytes;
}

function splitModel(folder: string): void {
  const single = join(folder, '..', 'model', 'model.safetensors');
  const tensors = [...openSafetensors(single).tensors.values()].map((info) => {
    const parts = [...tensorChunks(info)].map(({ bytes }) => Buffer.from(bytes));
    return [info.name, { dtype: info.dtype, shape: info.shape, data: Buffer.concat(parts) }] as const;
  });
  const weightMap: Record<string, string> = {};
  for (const [i, half] of [tensors.slice(0, 9), tensors.slice(9)].entries()) {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    writeSafetensors(join(folder, file), new Map(half));
    for (const [name] of half) weightMap[name] = file;
  }
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
}

const CONFIG = {
  ...STUDENT,
  rope_scaling: {
    ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
    original_max_position_embeddings: 64,
  },
};

const modelTarget = (name: string, folder: string, files: Target['files']): Target => ({
  name,
  folder,
  files,
  load: (path) => readAll(openModelFiles(path).tensors.values()),
});

/** Writes every input once. */
export async function makeTargets(): Promise<Target[]> {
  const root = temporaryFolder('fuzz');
  const folder = (name: string) => join(root, name);
  for (const name of ['sharded', 'run', 'options']) mkdirSync(folder(name));
  const model = writeModel(folder('model'), CONFIG, 1);
  splitModel(folder('sharded'));
  const config = readModelConfig(model);
  const parameters = [...loraShapes(config, LORA)].map(([name, shape]) =>
    floatSource(name, shape, new Float32Array(shape[0]! * shape[1]!).fill(0.5)),
  );
  const adapter = adapterConfig(LORA, 'student');
  await writeAdapter(folder('adapter'), adapter, parameters);
  const cursor = { epoch: 0, place: null, pair: 0, row: 4, emitted: 2 };
  const state = { step: 2, tokens: 128, elapsedSeconds: 1.5, cursor, metricsBytes: 99 };
  const contents = { parameters, first: parameters, second: parameters, state };
  const checkpoint = await writeCheckpoint(root, { kind: 'adapter', config: adapter }, contents);
  const runFile = { version: '0.1.0', options: RUN_OPTIONS, commits: { student: 'abc' } };
  writeFileSync(runPaths(folder('run')).options, JSON.stringify(runFile));
  writeFileSync(join(folder('options'), 'run.yaml'), stringify(RUN_OPTIONS));
  writeFileSync(join(folder('options'), 'run.json'), JSON.stringify(RUN_OPTIONS));
  const readOptions = (file: string) => (path: string) => readConfigFile(join(path, file), TRAIN_OPTIONS);
  return [
    modelTarget('model', model, { 'config.json': JSON_FILE, 'model.safetensors': TENSORS }),
    modelTarget('shards', folder('sharded'), {
      'model.safetensors.index.json': JSON_FILE,
      'model-00002-of-00002.safetensors': TENSORS,
    }),
    {
      ...{ name: 'config', folder: model, files: { 'config.json': JSON_FILE } },
      load: (path) => weightShapes(blankModelFiles(join(path, 'config.json')).config),
    },
    {
      ...{ name: 'tokenizer', folder: model },
      files: { 'tokenizer.json': JSON_FILE, 'tokenizer_config.json': JSON_FILE },
      load: async (path) => (await loadTokenizer(path)).encode('the cat <s> sat on\n a 😀 mat.'),
    },
    {
      ...{ name: 'adapter', folder: folder('adapter') },
      files: { 'adapter_config.json': JSON_FILE, 'adapter_model.safetensors': TENSORS },
      load(path) {
        const read = readAdapter(path);
        checkAdapter(read, loraShapes(config, loraOptions(read.config, config)));
      },
    },
    {
      ...{ name: 'checkpoint', folder: checkpoint },
      files: {
        'state.json': JSON_FILE,
        'optimizer.safetensors': TENSORS,
        'adapter/adapter_model.safetensors': TENSORS,
      },
      load: async (path) => {
        const { parameters, first, second } = readCheckpoint(path);
        for (const source of [...parameters, ...first, ...second]) await readBytes(source);
      },
    },
    {
      ...{ name: 'run', folder: folder('run'), files: { 'run.json': JSON_FILE } },
      load: (path) => resolveOptions({ resume: true, out: path }),
    },
    {
      ...{ name: 'yaml', folder: folder('options'), files: { 'run.yaml': [mutateYaml, mutateBytes] } },
      load: readOptions('run.yaml'),
    },
    {
      ...{ name: 'options', folder: folder('options'), files: { 'run.json': JSON_FILE } },
      load: readOptions('run.json'),
    },
    ...makeChatTargets(folder('chat')),
  ];
}
