import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lockFolder } from '#src/formats/lock.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

const lockTest = ['linux', 'win32'].includes(process.platform) ? test : test.skip;
const REFUSED =
  /^--out: expected a folder that no other run is using, found one at work in .*; wait for its end/;

lockTest('one at a time, whatever the folder is called; then the next one', async () => {
  const parent = temporaryFolder('lock');
  const [folder, other, link] = ['folder', 'other', 'link'].map((name) => join(parent, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [folder, other]) mkdirSync(path);
  symlinkSync(folder, link, 'junction');
  const lock = await lockFolder(folder);
  for (const path of [folder, link]) assert.match(await inputErrorOf(() => lockFolder(path)), REFUSED);
  (await lockFolder(other)).close();
  lock.close();
  (await lockFolder(link)).close();
});

lockTest('a killed process leaves no lock', async () => {
  const folder = temporaryFolder('lock');
  const script = `
    import { lockFolder } from ${JSON.stringify(import.meta.resolve('#src/formats/lock.js'))};
    await lockFolder(${JSON.stringify(folder)});
    setInterval(() => {}, 1000);
    console.log('locked');`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  await once(child.stdout, 'data');
  assert.match(await inputErrorOf(() => lockFolder(folder)), REFUSED);
  child.kill('SIGKILL');
  await once(child, 'exit');
  (await lockFolder(folder)).close();
});

test.run();
