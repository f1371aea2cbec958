import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryOf, resolveModel } from '#src/hub/resolveModel.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { FILES, NAME, runErrorOf, withHub } from './scene.js';
import type { Fault } from './server.js';

const refused = suite('what cannot be had');

const GATED = { status: 403, headers: { 'X-Error-Code': 'GatedRepo' } };
const refusals: Record<string, [at: string, fault: Fault, message: RegExp]> = {
  'a gated model': [
    'config.json',
    GATED,
    /^someone\/tiny-llama: config\.json: expected access, found no token \(403 GatedRepo\); accept the model's terms at http.*\/someone\/tiny-llama and set HF_TOKEN$/,
  ],
  '401': ['tree', { status: 401 }, /expected access, found no token \(401\)/],
  'an entry that is gone': [
    'config.json',
    { status: 404 },
    /config\.json: expected .*, found neither \(404\)/,
  ],
};
for (const [what, [at, fault, message]] of Object.entries(refusals)) {
  refused(what, () =>
    withHub(FILES, async ({ hub, pauses, resolve }) => {
      hub.faults.set(at, [fault]);
      assert.match(await inputErrorOf(resolve), message);
      assert.equal(pauses, [], 'no second try');
    }),
  );
}

refused('a token without access is not blamed on its absence', () =>
  withHub(
    FILES,
    async ({ hub, resolve }) => {
      hub.faults.set('config.json', [GATED]);
      assert.match(await inputErrorOf(resolve), /found that the token has none \(403 GatedRepo\)/);
    },
    { token: 'hf_x' },
  ),
);

refused('names and revisions that do not exist', () =>
  withHub(FILES, async ({ resolve }) => {
    assert.match(
      await inputErrorOf(() => resolve('someone/else')),
      /^someone\/else: expected a folder or a model on http.*, found neither \(401\); check the name, or log in \(HF_TOKEN\) if the model is private/,
    );
    assert.match(
      await inputErrorOf(() => resolve(`${NAME}@nope`)),
      /@nope: expected a branch, tag or commit of someone\/tiny-llama, found no nope; /,
    );
  }),
);

refused('neither a folder nor a name', async () => {
  for (const text of ['nowhere', 'a/b/c', '../a/b', 'a/..', 'a/b@../c', '/x/y', '']) {
    assert.match(
      await inputErrorOf(() => resolveModel(text)),
      /: expected a model's folder, or owner\/name of one on the Hugging Face Hub, found neither; check the path$/,
      text,
    );
  }
});

refused('a file', async () => {
  const file = join(temporaryFolder('hub'), 'model.safetensors');
  writeFileSync(file, '');
  assert.match(
    await inputErrorOf(() => resolveModel(file)),
    /: expected a model's folder, .*, found a file;/,
  );
});

refused('offline, and not in the cache', () =>
  withHub(FILES, async ({ hub, resolve }) => {
    const offline = { offline: true };
    assert.match(
      await inputErrorOf(() => resolve(NAME, offline)),
      /^someone\/tiny-llama: expected a folder, or a model in the cache .* \(HF_HUB_OFFLINE is set\), found no such model;/,
    );
    assert.match(
      await inputErrorOf(() => resolve(`${NAME}@${hub.commit}`, offline)),
      /found no config\.json;/,
    );
    assert.is(hub.requests.length, 0);
  }),
);

refused('a model without safetensors', () => {
  const { 'model.safetensors': _, ...files } = FILES;
  return withHub(files, async ({ resolve }) =>
    assert.match(
      await inputErrorOf(resolve),
      /expected model\.safetensors among its files, found .*pytorch_model\.bin; choose a model that is saved as safetens/,
    ),
  );
});

refused('nobody answers', () =>
  withHub(FILES, async ({ hub, pauses, resolve }) => {
    await hub.close();
    assert.match(
      await runErrorOf(resolve()),
      /^someone\/tiny-llama: expected a folder, or an answer from http.*, found ECONNREFUSED; check the name and the net/,
    );
    assert.equal(pauses, []);
  }),
);

refused('the name in a reference', () => {
  assert.is(repositoryOf('a/b'), 'a/b');
  assert.is(repositoryOf('a/b.c-1@v1'), 'a/b.c-1');
  assert.is(repositoryOf('./a'), undefined);
});

refused.run();
