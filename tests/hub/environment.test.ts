import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HUB_URL } from '@huggingface/hub';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hubEnvironment } from '#src/hub/environment.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';

test('nothing set: the Hub, and the cache in the home folder', () => {
  const { endpoint, cache, offline } = hubEnvironment({});
  assert.equal(
    { endpoint, cache, offline },
    { endpoint: HUB_URL, cache: join(homedir(), '.cache/huggingface/hub'), offline: false },
  );
});

test("the token: the variable, else the file it names, else the file of Hugging Face's own tools", async () => {
  const HF_HOME = temporaryFolder('token');
  assert.is(hubEnvironment({ HF_HOME }).token, undefined, 'no file, no token');
  writeFileSync(join(HF_HOME, 'token'), 'hf_home\n');
  assert.is(hubEnvironment({ HF_HOME }).token, 'hf_home');
  const HF_TOKEN_PATH = join(HF_HOME, 'other');
  assert.is(
    hubEnvironment({ HF_HOME, HF_TOKEN_PATH }).token,
    undefined,
    'a path that is given is the only one',
  );
  writeFileSync(HF_TOKEN_PATH, ' hf_path ');
  assert.is(hubEnvironment({ HF_HOME, HF_TOKEN_PATH }).token, 'hf_path');
  assert.is(hubEnvironment({ HF_HOME, HF_TOKEN_PATH, HF_TOKEN: 'hf_x' }).token, 'hf_x');
  assert.is(hubEnvironment({ HF_HOME, HF_TOKEN: '' }).token, 'hf_home', 'an empty variable counts as none');
  writeFileSync(HF_TOKEN_PATH, '\n');
  assert.is(hubEnvironment({ HF_HOME, HF_TOKEN_PATH }).token, undefined, 'an empty file, too');
  assert.match(
    await inputErrorOf(() => hubEnvironment({ HF_TOKEN_PATH: HF_HOME })),
    /expected an access token .*, could not read it \(EISDIR\); check HF_TOKEN_PATH or set HF_TOKEN$/,
  );
});

test('the more specific variable of the cache wins', () => {
  const [XDG_CACHE_HOME, HF_HOME, HF_HUB_CACHE] = ['/xdg', '/home', '/hub'];
  assert.is(hubEnvironment({ XDG_CACHE_HOME }).cache, join('/xdg/huggingface/hub'));
  assert.is(hubEnvironment({ XDG_CACHE_HOME, HF_HOME }).cache, join('/home/hub'));
  assert.is(hubEnvironment({ XDG_CACHE_HOME, HF_HOME, HF_HUB_CACHE }).cache, '/hub');
});

test('endpoint, token, offline', () => {
  const { endpoint, token } = hubEnvironment({ HF_ENDPOINT: 'http://mirror/', HF_TOKEN: 'hf_x' });
  assert.is(endpoint, 'http://mirror');
  assert.is(token, 'hf_x');
  for (const [HF_HUB_OFFLINE, offline] of [
    ['1', true],
    ['true', true],
    ['0', false],
    ['', false],
  ] as const) {
    assert.is(hubEnvironment({ HF_HUB_OFFLINE }).offline, offline);
  }
});

test.run();
