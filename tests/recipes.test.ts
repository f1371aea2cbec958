import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MEETING, meetingLines, OTHER } from './data/meetings.js';
import { projectRoot, temporaryFolder } from './support.js';

/** The script that makes text of meetings, as a program. */

const script = join(projectRoot, 'build/recipes/qmsum/meetings.js');
const folder = temporaryFolder('recipe-scripts');
const put = (name: string, content: string): void => writeFileSync(join(folder, name), content);

const run = (...args: string[]) =>
  new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [script, ...args], { cwd: folder }, (error, _, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });

test('meetings as text, all of them or words from the middle', async () => {
  put('meetings.jsonl', `${meetingLines([MEETING])}\n${meetingLines([OTHER])}`);
  const texts = async (...words: string[]) => {
    assert.equal(await run('meetings.jsonl', 'out.jsonl', ...words), { code: 0, stderr: '' });
    const lines = readFileSync(join(folder, 'out.jsonl'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line).text).sort();
  };
  const all =
    'Al: Shall we begin ?\nBo: When is lunch ?\nAl: At noon .\nCy: No soup for me .\nCy: Is there tea ?\nBo:';
  assert.equal(await texts(), [all, 'Di: Hello ?']);
  assert.equal(await texts('3'), ['At noon .', 'Di: Hello ?']);
});

test('what is no file of meetings, or none to write, is one line, and writes nothing', async () => {
  put('texts.jsonl', '{"text": "x"}\n');
  put('bad.jsonl', `${meetingLines([OTHER])}{\n`);
  const cases: [from: string, to: string, expected: RegExp][] = [
    [
      'texts.jsonl',
      'x',
      /^error: texts\.jsonl:1: expected meeting_transcripts with turns of speaker and content, found .*; give a file of QMSum\n$/,
    ],
    ['bad.jsonl', 'x', /^error: bad\.jsonl:2: expected a JSON object on the line, .*\n$/],
    ['none.jsonl', 'x', /^error: none\.jsonl: expected a text file, found nothing; .*\n$/],
    ['meetings.jsonl', 'no/x', /^error: no\/x: expected a file to write, found ENOENT; .*\n$/],
  ];
  for (const [from, to, expected] of cases) {
    const { code, stderr } = await run(from, to);
    assert.match(stderr, expected);
    assert.is(code, 2, stderr);
    assert.not(existsSync(join(folder, 'x')));
  }
});

test.run();
