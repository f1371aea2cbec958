import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readRunFile } from '#src/formats/runFile.js';
import { runPaths } from '#src/formats/runFolder.js';
import type { TrainOptions } from '#src/options/train.js';
import { locateText } from '#src/prepare/locateText.js';
import { FakeHub } from '../hub/server.js';
import { temporaryFolder } from '../support.js';

/** Datasets on the Hub stay at one commit for the whole run. */

const test = suite('locateText');
const NAME = 'someone/stories';
const optionsOf = (data: string[], evalData?: string, resume = false) =>
  ({ data, evalData, resume }) as unknown as TrainOptions;

test('paths stay as they are', async () => {
  assert.equal(await locateText(optionsOf(['a.txt:0.5', 'b/*.csv:1'], 'c.txt'), undefined), {
    data: ['a.txt:0.5', 'b/*.csv:1'],
    evalData: ['c.txt'],
    idsTokenizer: undefined,
    commits: {},
  });
});

test('a dataset gets its commit, asked for once, and again from the run on --resume', async () => {
  const hub = await FakeHub.start(NAME, {}, ['main', 'v2'], 'dataset');
  const before = process.env.HF_ENDPOINT;
  process.env.HF_ENDPOINT = hub.endpoint;
  try {
    const address = `hf://datasets/${NAME}`;
    const text = await locateText(optionsOf([`${address}/a.csv:2`, `${address}@v2/b/`], address), undefined);
    const commits = { [`datasets/${NAME}@main`]: hub.commit, [`datasets/${NAME}@v2`]: hub.commit };
    assert.equal(text, {
      data: [`${address}@${hub.commit}/a.csv:2`, `${address}@${hub.commit}/b`],
      evalData: [`${address}@${hub.commit}`],
      idsTokenizer: undefined,
      commits,
    });
    assert.is(hub.requests.length, 2);
    const out = temporaryFolder('locate-text');
    mkdirSync(join(out, 'checkpoints'));
    const pinned = { [`datasets/${NAME}@main`]: 'a'.repeat(40) };
    writeFileSync(runPaths(out).options, JSON.stringify({ version: '0.1.0', options: {}, commits: pinned }));
    const resumed = await locateText(optionsOf([`${address}/a.csv`], undefined, true), readRunFile(out));
    assert.equal(resumed.data, [`${address}@${'a'.repeat(40)}/a.csv`]);
    assert.is(hub.requests.length, 2);
  } finally {
    if (before === undefined) delete process.env.HF_ENDPOINT;
    else process.env.HF_ENDPOINT = before;
    await hub.close();
  }
});

test.run();
