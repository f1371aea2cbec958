import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hubEnvironment } from '#src/hub/environment.js';
import { resolveModel } from '#src/hub/resolveModel.js';
import { downloadLine } from '#src/report/downloads.js';
import { inputErrorOf } from '../inputErrors.js';
import { temporaryFolder } from '../support.js';
import { NAME, runErrorOf } from './scene.js';

/** A server that means no good gets an error of one line: no token, no memory, no time without end. */

const TOKEN = 'hf_secret';
const COMMIT = 'a'.repeat(40);
const INFO = JSON.stringify({ id: NAME, sha: COMMIT, lastModified: '2025-01-01T00:00:00.000Z' });
const file = (path: unknown, more: object = {}) => ({
  type: 'file',
  path,
  size: 1,
  oid: 'b'.repeat(40),
  ...more,
});

async function listening(answer: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** What fetching a model from such a server fails with. */
async function failureOf(
  answer: RequestListener,
  errorOf: (work: () => Promise<unknown>) => Promise<string> = (work) => runErrorOf(work()),
  signal?: AbortSignal,
): Promise<string> {
  const { server, url } = await listening(answer);
  const environment = { endpoint: url, cache: temporaryFolder('hostile'), offline: false, token: TOKEN };
  try {
    return await errorOf(() => resolveModel(NAME, { environment, delay: async () => {}, signal }));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const isInfo = (url: string | undefined) => url!.includes('/revision/');
const withTree =
  (tree: RequestListener): RequestListener =>
  (request, response) => {
    if (isInfo(request.url)) response.end(INFO);
    else tree(request, response);
  };

const hostile = suite('a hostile server');

hostile('does not get the token sent to another host', async () => {
  const seen: (string | undefined)[] = [];
  const other = await listening((request, response) => {
    seen.push(request.headers.authorization);
    response.end('[]');
  });
  const next = { link: `<${other.url}/page>; rel="next"` };
  const message = await failureOf(withTree((_, response) => response.writeHead(200, next).end('[]')));
  assert.match(message, /found a list that goes on at http:/);
  assert.equal(seen, []);
  for (const status of [301, 302, 307, 308]) {
    const location = `${other.url}/moved`;
    await failureOf((_, response) => response.writeHead(status, { location }).end());
    await failureOf(
      withTree((_, response) => response.writeHead(status, { location }).end()),
      inputErrorOf,
    );
  }
  assert.is(seen.length, 8);
  assert.equal([...new Set(seen)], [undefined]);
  other.server.close();
});

hostile('has no list without end', async () => {
  let pages = 0;
  const answer = withTree((request, response) => {
    const link = `<http://${request.headers.host}/api/page${++pages}>; rel="next"`;
    response.writeHead(200, { link }).end(JSON.stringify([file(`f${pages}`)]));
  });
  assert.match(await failureOf(answer), /found a list of more than 2000 pages/);
  assert.ok(pages <= 2001);
});

const ENDLESS: Record<string, (part: string) => RequestListener> = {
  'an endless answer about a model': (part) => (_, response) => flood(response, '{"sha":"', part),
  'an endless list': (part) => withTree((_, response) => flood(response, '[', part)),
};
for (const [what, answer] of Object.entries(ENDLESS)) {
  hostile(what, async () => {
    assert.match(await failureOf(answer('a'.repeat(2 ** 20))), /found more than 67108864 bytes/);
  });
}

hostile('an answer that takes too long, whether or not the caller may stop it', async () => {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = () => timeout.call(AbortSignal, 50);
  try {
    const slow: RequestListener = (_, response) => response.write(' ');
    for (const answer of [slow, withTree(slow)]) {
      for (const signal of [undefined, new AbortController().signal]) {
        assert.match(await failureOf(answer, undefined, signal), /expected .*, found none in time; check/);
      }
    }
  } finally {
    AbortSignal.timeout = timeout;
  }
});

function flood(response: Parameters<RequestListener>[1], start: string, part: string): void {
  response.write(start);
  const more = () => {
    while (!response.destroyed && response.write(part));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

const FORMS: readonly [tree: unknown, found: RegExp][] = [
  [{}, /found one of another form/],
  [null, /found one of another form/],
  [7, /found one of another form/],
  [[null], /in a list of files/],
  [['x'], /in a list of files/],
  [[file(7)], /in a list of files/],
  [[file('')], /in a list of files/],
  [[file('..')], /in a list of files/],
  [[file('/config.json')], /in a list of files/],
  [[file('additional_chat_templates/../../x')], /in a list of files/],
  [[file('config.json', { size: -1 })], /in a list of files/],
  [[file('config.json', { size: 1e300 })], /in a list of files/],
  [[file('config.json', { lfs: 'x' })], /in a list of files/],
];
for (const [tree, found] of FORMS) {
  hostile(`a list that is ${JSON.stringify(tree)}`, async () => {
    assert.match(await failureOf(withTree((_, response) => response.end(JSON.stringify(tree)))), found);
  });
}

hostile('no JSON, no commit, no end of redirections', async () => {
  assert.match(await failureOf((_, response) => response.end('<html>')), /expected .* an answer from/);
  for (const sha of ['x'.repeat(1e6), 7, null, '../../x']) {
    const message = await failureOf((_, response) =>
      response.end(JSON.stringify({ ...JSON.parse(INFO), sha })),
    );
    assert.match(message, /as the commit of main/);
    assert.ok(message.length < 1000);
  }
  const loop = await failureOf((request, response) =>
    response.writeHead(302, { location: `http://${request.headers.host}/again` }).end(),
  );
  assert.match(loop, /found redirect count exceeded/);
});

hostile('names with escapes do not reach the terminal', () => {
  const names = ['\x1b[2J', '\u009b31m', '\u202egnp.exe', 'a\nb', '\x07', '\u2066x'];
  for (const name of names) {
    const line = downloadLine({ type: 'download', model: name, file: name, bytes: 1, total_bytes: 2 });
    assert.not.match(line, /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
  }
});

hostile('a token that cannot be one is not shown', async () => {
  for (const HF_TOKEN of ['hf_sec\nret', 'hf_sec\rret', 'hf_sec ret', 'hf_secrét', 'hf_\x1bsec']) {
    const message = await inputErrorOf(() => hubEnvironment({ HF_TOKEN }));
    assert.match(message, /^HF_TOKEN: expected an access token/);
    assert.not.match(message, /sec/);
  }
});

hostile.run();
