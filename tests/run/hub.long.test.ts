import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { NAME, withHub } from '../hub/scene.js';
import { adapterBytes, flags, runProgram } from './process.js';

/** Whole programs with models by Hub name. */

const fixture = makeFixture('hub');
const filesOf = (folder: string, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
const MODEL = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
const ADAPTER = ['adapter_config.json', 'adapter_model.safetensors'];
const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

const base = {
  data: [fixture.text],
  batch: 4,
  sequence: 16,
  shuffleRows: 16,
  steps: 2,
  evalFraction: 0,
  threads: 1,
};

test('train, then evaluate, by names: as with folders', () =>
  withHub(filesOf(fixture.student, MODEL), async ({ hub, cache }) => {
    const cwd = mkdtempSync(join(fixture.folder, 'hub-'));
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
    const named = await runProgram('train', flags({ ...base, student: NAME, out: 'named' }), { cwd, env });
    assert.is(named.code, 0, named.stderr);
    assert.match(named.stderr, /^fetching someone\/tiny-llama .* 100 % {2}model\.safetensors$/m);
    assert.match(named.stdout, `--model ${NAME} `);
    await runProgram('train', flags({ ...base, student: fixture.student, out: 'folder' }), { cwd });
    assert.ok(adapterBytes(join(cwd, 'named')).equals(adapterBytes(join(cwd, 'folder'))));
    assert.equal(readJson(join(cwd, 'named/run.json')).commits, { student: hub.commit });
    const config = readJson(join(cwd, 'named/adapter/adapter_config.json'));
    assert.is(config.base_model_name_or_path, NAME);

    await withHub(
      filesOf(join(cwd, 'named/adapter'), ADAPTER),
      async (adapters) => {
        // The model comes from the cache of the training: this Hub has only the adapter.
        const elsewhere = { HF_ENDPOINT: adapters.hub.endpoint, HF_HUB_CACHE: cache };
        const scored = ['--perplexity', fixture.text, '--sequence', '16', '--json'];
        const score = async (model: string, adapter: string) => {
          const args = ['--model', model, '--adapter', adapter, ...scored];
          const { code, stdout, stderr } = await runProgram('evaluate', args, { cwd, env: elsewhere });
          assert.is(code, 0, stderr);
          return (JSON.parse(stdout) as { nll: number }).nll;
        };
        assert.is(await score(NAME, 'someone/adapter'), await score(fixture.student, 'named/adapter'));
      },
      { name: 'someone/adapter' },
    );
  }));

test('a dry run fetches no weights, and tells the memory of the run', () =>
  withHub(filesOf(fixture.teacher, MODEL), async ({ hub, cache, snapshot }) => {
    const cwd = mkdtempSync(join(fixture.folder, 'hub-'));
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
    const options = { ...base, student: fixture.student, teacher: NAME };
    const dry = await runProgram('train', flags({ ...options, dryRun: true }), { cwd, env });
    assert.is(dry.code, 0, dry.stderr);
    assert.match(
      dry.stdout,
      /the teacher's weights are not here: sizes are those of their headers on the Hub$/m,
    );
    assert.is(existsSync(join(snapshot, 'model.safetensors')), false);
    const run = await runProgram('train', flags({ ...options, out: 'run' }), { cwd, env });
    assert.is(run.code, 0, run.stderr);
    assert.ok(existsSync(join(snapshot, 'model.safetensors')));
    const [told] = /memory .*/.exec(dry.stdout)!;
    assert.ok(run.stderr.includes(told) || run.stdout.includes(told), `${told}: ${run.stderr}`);
  }));

test('a model that is not there: one line, exit 2, nothing written', () =>
  withHub(filesOf(fixture.student, MODEL), async ({ hub, cache }) => {
    const cwd = mkdtempSync(join(fixture.folder, 'hub-'));
    const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache };
    const { code, stderr } = await runProgram('train', flags({ ...base, student: 'someone/else' }), {
      cwd,
      env,
    });
    assert.is(code, 2);
    assert.match(stderr, /^error: someone\/else: expected a folder or a model on http.*\n$/);
  }));

test.run();
