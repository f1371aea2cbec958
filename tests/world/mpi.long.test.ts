import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { aloneEnvironment, type Ended, type Launcher, launchers, runRanks } from './mpirun.js';

/** Ranks that real launchers start: what they meet for, with every library that is here. */

const mpi = suite('mpi');
const program = fileURLToPath(new URL('./rankProgram.js', import.meta.url));

const succeed = async (launcher: Launcher, ranks: number, name: string): Promise<Ended> => {
  const ended = await runRanks(launcher, ranks, [program, name]);
  assert.is(ended.code, 0, ended.stderr);
  assert.is(ended.stderr, '');
  return ended;
};

if (launchers.length === 0) mpi.skip('no mpirun is installed', () => {});

for (const launcher of launchers) {
  const test = (name: string, work: () => Promise<void>) => mpi(`${launcher.family}: ${name}`, work);

  for (const ranks of [1, 2, 3]) {
    test(`${ranks} ranks know who and where they are`, async () => {
      const { stdout } = await succeed(launcher, ranks, 'place');
      const places = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(places.map(({ rank }) => rank).sort(), [...Array(ranks).keys()]);
      for (const { rank, size, localRank, localSize, hosts, library } of places) {
        assert.equal([size, localRank, localSize], [ranks, rank, ranks]);
        assert.is(hosts.length, ranks);
        assert.is(new Set(hosts).size, 1);
        assert.match(library, new RegExp(`^(${launcher.family}|Intel).* \\d+\\.\\d+`));
      }
    });
  }

  test('values arrive as they were, of every rank, in order', async () => {
    for (const ranks of [1, 3]) await succeed(launcher, ranks, 'values');
  });

  test('parts of any size arrive where they belong', async () => {
    for (const ranks of [1, 2, 3]) await succeed(launcher, ranks, 'parts');
  });

  test('channels meet in any order, from other threads, too', async () => {
    await succeed(launcher, 3, 'order');
    await succeed(launcher, 2, 'thread');
  });

  test('faults in WebAssembly stay errors', async () => {
    await succeed(launcher, 1, 'faultOfWasm');
  });

  test('ranks that came for different things are told, and go on', async () => {
    await succeed(launcher, 2, 'methodsDiffer');
    await succeed(launcher, 2, 'countsDiffer');
  });

  test('a start of which MPI knows nothing is refused', async () => {
    const name = launcher.family === 'Open MPI' ? 'OMPI_COMM_WORLD' : 'PMI';
    const env = { ...aloneEnvironment(), [`${name}_RANK`]: '0', [`${name}_SIZE`]: '4' };
    const { status, stderr } = spawnSync(process.execPath, [program, 'place'], { env, encoding: 'utf8' });
    assert.is(status, 2);
    assert.match(stderr, /^error: expected the world of \w+=0 \w+=4, found rank 0 of 1 in that of .*\n$/);
  });
}

mpi.run();
