import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { RunError } from '#src/base/errors.js';
import { type ResolveOptions, resolveModel } from '#src/hub/resolveModel.js';
import { temporaryFolder } from '../support.js';
import { FakeHub } from './server.js';

/** A model on a Hub of its own, and an empty cache. */

export const NAME = 'someone/tiny-llama';
export const bytes = (seed: number, length: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (seed + i * 7 + (i >> 8)) & 255));
export const json = (value: unknown) => Buffer.from(JSON.stringify(value));

export const WEIGHTS = bytes(1, 300_000);
export const FILES = {
  'README.md': Buffer.from('about'),
  'config.json': json({ model_type: 'llama' }),
  'tokenizer.json': bytes(2, 20_000),
  'tokenizer_config.json': json({}),
  'model.safetensors': WEIGHTS,
  'pytorch_model.bin': bytes(3, 1000),
  'onnx/model.onnx': bytes(6, 1000),
};
export const NEEDED = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

export interface Scene {
  readonly hub: FakeHub;
  readonly cache: string;
  readonly repository: string;
  readonly snapshot: string;
  /** Milliseconds that were waited for. */
  readonly pauses: number[];
  resolve(text?: string, options?: ResolveOptions & { offline?: boolean }): ReturnType<typeof resolveModel>;
}

/** Runs a test against a Hub of its own and an empty cache. */
export async function withHub(
  files: Readonly<Record<string, Buffer>>,
  test: (scene: Scene) => Promise<void>,
  { name = NAME, branches, token }: { name?: string; branches?: readonly string[]; token?: string } = {},
): Promise<void> {
  const hub = await FakeHub.start(name, files, branches);
  const cache = join(temporaryFolder('hub'), 'cache');
  const repository = join(cache, `models--${name.replace('/', '--')}`);
  const pauses: number[] = [];
  const resolve: Scene['resolve'] = (text = name, { offline = false, ...options } = {}) =>
    resolveModel(text, {
      environment: { endpoint: hub.endpoint, cache, offline, token },
      delay: async (ms) => pauses.push(ms),
      ...options,
    });
  try {
    await test({
      hub,
      cache,
      repository,
      pauses,
      resolve,
      snapshot: join(repository, 'snapshots', hub.commit),
    });
  } finally {
    await hub.close();
  }
}

/** The message of the RunError that `work` rejects with; every such message is one line. */
export const runErrorOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.instance(error, RunError);
    assert.not.match((error as Error).message, /\p{Cc}/u);
    return (error as Error).message;
  }
  return assert.unreachable('expected a RunError, found none') as never;
};
