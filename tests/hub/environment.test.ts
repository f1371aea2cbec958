import { homedir } from 'node:os';
import { join } from 'node:path';
import { HUB_URL } from '@huggingface/hub';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hubEnvironment } from '#src/hub/environment.js';

test('nothing set: the Hub, and the cache in the home folder', () => {
  assert.equal(hubEnvironment({}), {
    endpoint: HUB_URL,
    token: undefined,
    cache: join(homedir(), '.cache/huggingface/hub'),
    offline: false,
  });
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
