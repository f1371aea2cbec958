import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CHAT_TEMPLATE, makeFixture } from '../fixtures.js';
import { projectRoot } from '../support.js';

/** What `generate` writes is all that it is for: it ends with its stdout. */

const fixture = makeFixture('lost-output');
const template = join(fixture.folder, 'template.jinja');
writeFileSync(template, CHAT_TEMPLATE);
const FLAGS = ['--model', fixture.student, '--device', 'wasm', '--threads', '1', '--max-tokens', '20'];
const CHAT = ['--chat', '--chat-template', template];

const start = (flags: readonly string[], stdout: number | 'pipe'): ChildProcess =>
  spawn(process.execPath, [join(projectRoot, 'dist', 'generate.js'), ...FLAGS, ...flags], {
    stdio: ['pipe', stdout, 'pipe'],
  });

async function endOf(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = '';
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stderr };
}

const tests = suite('generate without an output');

const onLinux = existsSync('/dev/full') ? tests : tests.skip;
for (const [what, flags] of [
  ['a completion', ['--prompt', 'the cat']],
  ['a conversation, whose input goes on,', CHAT],
] as const) {
  onLinux(`says once that ${what} can't be written`, async () => {
    const child = start(flags, openSync('/dev/full', 'w'));
    const ended = endOf(child);
    child.stdin!.write('the cat\nthe dog\na\n');
    const { code, stderr } = await ended;
    assert.is(code, 1);
    assert.is(stderr, 'error: expected to write to stdout, found ENOSPC; check where it leads\n');
  });
}

tests('ends a conversation that nobody reads, whose input goes on', async () => {
  const child = start(CHAT, 'pipe');
  const ended = endOf(child);
  child.stdout!.destroy();
  child.stdin!.write('the cat\n');
  assert.equal(await ended, { code: 0, stderr: '' });
});

tests.run();
