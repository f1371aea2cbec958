import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFixture } from '../fixtures.js';
import { projectRoot } from '../support.js';
import { runProgram } from './process.js';

/** Ctrl-C where there is a terminal, whose cursor is hidden while a line is kept up to date. */

const fixture = makeFixture('terminal');
const imports = [join(projectRoot, 'build/tests/run/terminal.js')];

const tests = suite('Ctrl-C on a terminal');

for (const [program, ...flags] of [
  ['generate', '--prompt', 'the cat', '--max-tokens', '90'],
  ['evaluate', '--perplexity', fixture.text, '--sequence', '32'],
] as const) {
  tests(`ends ${program} with one line`, async () => {
    const all = ['--model', fixture.student, '--device', 'wasm', '--threads', '1', ...flags];
    const { code, signal, stderr } = await runProgram(program, all, { cwd: fixture.folder, imports });
    assert.is(signal, null);
    assert.is(code, 1, stderr);
    assert.is(stderr.match(/error: expected to .*, found a signal to stop\n/g)?.length, 1);
  });
}

tests.run();
