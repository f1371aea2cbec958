import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { locateModels } from '#src/prepare/locateModels.js';
import { type Given, resolveOptions } from '#src/prepare/resolveOptions.js';
import { makeFixture } from '../fixtures.js';
import { NAME, withHub } from '../hub/scene.js';

const fixture = makeFixture('locate');
const given = { student: NAME, data: [fixture.text] };
const files = Object.fromEntries(
  ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'].map((file) => [
    file,
    readFileSync(join(fixture.student, file)),
  ]),
);

/** Of a run as it is asked for. */
function located(input: Given) {
  const { options, before } = resolveOptions(input);
  return locateModels(options, before, () => {});
}

/** What a run finds in its environment. */
const useHub = ({ endpoint, cache }: { endpoint: string; cache: string }) =>
  Object.assign(process.env, { HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache });

test('folders stay as they are', async () => {
  const { options } = resolveOptions({ ...given, student: fixture.student, teacher: fixture.teacher });
  assert.equal(await locateModels(options, undefined, () => {}), {
    ...{ student: fixture.student, teacher: fixture.teacher, init: undefined },
    ...{ baseModel: fixture.student, commits: {}, headers: {} },
  });
});

test('a run that goes on does not look for the adapter it began with, and keeps its commit', async () => {
  const { options } = resolveOptions({ ...given, student: fixture.student, init: 'nobody/nothing' });
  const before = { version: '0.1.0', options: {}, commits: { init: 'a'.repeat(40) } };
  const { init, commits } = await locateModels(options, before, () => {}, true);
  assert.equal([init, commits], [undefined, before.commits]);
});

test('Hub names become folders; the adapter is named after the model, without its revision', () =>
  withHub(files, async ({ hub, cache, snapshot }) => {
    useHub({ endpoint: hub.endpoint, cache });
    const seen: string[] = [];
    const { options } = resolveOptions({ ...given, student: `${NAME}@main` });
    const models = await locateModels(options, undefined, ({ file }) => seen.push(file));
    assert.equal(models, {
      ...{ student: snapshot, teacher: undefined, init: undefined },
      ...{ baseModel: NAME, commits: { student: hub.commit }, headers: {} },
    });
    assert.ok(seen.includes('model.safetensors'));
  }));

test('a dry run fetches no weights, and knows their headers', () =>
  withHub(files, async ({ hub, cache, snapshot }) => {
    useHub({ endpoint: hub.endpoint, cache });
    const { student, headers } = await located({ ...given, dryRun: true });
    assert.is(student, snapshot);
    assert.is(existsSync(join(snapshot, 'model.safetensors')), false);
    assert.ok(headers.student!.has('model.embed_tokens.weight'));
    // A cache is known by the weights of its teacher.
    const cached = { ...given, teacher: NAME, teacherCache: join(cache, 'states'), dryRun: true };
    assert.is((await located(cached)).headers.teacher, undefined);
    assert.ok(existsSync(join(snapshot, 'model.safetensors')));
  }));

test('a resumed run gets the commits it began with, also when the branch has moved on', () =>
  withHub(files, async ({ hub, cache, repository, snapshot }) => {
    useHub({ endpoint: hub.endpoint, cache });
    const out = join(cache, '..', 'run');
    const { commits } = await located(given);
    const later = 'f'.repeat(40);
    cpSync(snapshot, join(repository, 'snapshots', later), { recursive: true });
    writeFileSync(join(repository, 'refs/main'), later);
    assert.is((await located(given)).commits.student, later);
    mkdirSync(out);
    writeFileSync(join(out, 'run.json'), JSON.stringify({ version: '0', options: given, commits }));
    const resumed = await located({ resume: true, out });
    assert.is(resumed.student, snapshot);
    assert.equal(resumed.commits, commits);
  }));

test.run();
