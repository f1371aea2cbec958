import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { projectRoot } from './support.js';

/** The project's own rules: which way imports point, how long files are, and that the README is true. */

const MOST_LINES = 400;
const ROOTS = ['src', 'assembly', 'kernels', 'bench', 'tests', 'docs'];

/** What each part of src/ may import beside itself; a type is no exception unless the part is in TYPES_ONLY. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'messages.ts': [],
  'nearestName.ts': [],
  options: ['errors.ts', 'nearestName.ts'],
  'options.ts': ['options'],
  'version.ts': [],
  program: [],
  wasm: ['errors.ts'],
  devices: ['program', 'wasm', 'errors.ts'],
  formats: ['errors.ts', 'messages.ts', 'nearestName.ts', 'options.ts'],
  hub: ['formats', 'errors.ts', 'messages.ts'],
  data: ['formats', 'hub', 'wasm', 'errors.ts'],
  model: ['data', 'devices', 'formats', 'program', 'errors.ts', 'messages.ts'],
  evaluation: [
    'data',
    'devices',
    'formats',
    'hub',
    'model',
    'wasm',
    'errors.ts',
    'messages.ts',
    'options.ts',
  ],
  actors: [
    'data',
    'devices',
    'evaluation',
    'formats',
    'model',
    'program',
    'wasm',
    'errors.ts',
    'messages.ts',
  ],
  report: ['messages.ts'],
  miniature: ['data', 'formats', 'exit.ts', 'index.ts'],
  'exit.ts': [],
  'command.ts': ['errors.ts', 'nearestName.ts', 'options.ts', 'version.ts'],
  'locateModels.ts': ['formats', 'hub', 'messages.ts', 'options.ts'],
  'locateText.ts': ['formats', 'hub', 'options.ts'],
  'prepareText.ts': ['data', 'formats', 'errors.ts', 'options.ts'],
  'prepare.ts': [
    ...['data', 'devices', 'formats', 'miniature', 'model', 'program'],
    ...['errors.ts', 'locateModels.ts', 'locateText.ts', 'messages.ts', 'options.ts'],
    'prepareText.ts',
  ],
  'estimate.ts': ['devices', 'model', 'program', 'prepare.ts'],
  'recovery.ts': ['devices', 'formats', 'errors.ts', 'pipeline.ts', 'prepare.ts'],
  'pipeline.ts': [
    ...['actors', 'data', 'devices', 'formats', 'report'],
    ...['errors.ts', 'locateText.ts', 'messages.ts', 'prepare.ts', 'version.ts'],
  ],
  'corpus.ts': ['data', 'formats', 'hub', 'errors.ts', 'locateText.ts', 'messages.ts', 'options.ts'],
  'index.ts': [
    ...['corpus.ts', 'data', 'devices', 'evaluation', 'formats'],
    ...['errors.ts', 'estimate.ts', 'messages.ts', 'options.ts', 'pipeline.ts', 'prepare.ts', 'recovery.ts'],
  ],
  'train.ts': ['command.ts', 'exit.ts', 'index.ts', 'miniature', 'options.ts', 'prepare.ts', 'report'],
  'tokenize.ts': ['command.ts', 'exit.ts', 'index.ts', 'options.ts', 'report'],
  'evaluate.ts': ['command.ts', 'exit.ts', 'index.ts', 'options.ts', 'report'],
};

/** Parts of which others take nothing but types. */
const TYPES_ONLY: readonly [from: string, to: string][] = [
  ['model', 'devices'],
  ['actors', 'program'],
  ['prepare.ts', 'devices'],
  ['prepare.ts', 'program'],
  ['estimate.ts', 'program'],
  ['estimate.ts', 'prepare.ts'],
  ['pipeline.ts', 'data'],
  ['pipeline.ts', 'devices'],
  ['recovery.ts', 'devices'],
  ['index.ts', 'pipeline.ts'],
];

interface Import {
  readonly from: string;
  /** Path from src/, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const isTracked = (name: string) => !name.startsWith('.') && !['__pycache__', 'node_modules'].includes(name);

/** Paths from the project's root, with `/`. */
function filesUnder(folder: string): string[] {
  return readdirSync(join(projectRoot, folder), { withFileTypes: true })
    .filter(({ name }) => isTracked(name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesUnder(path) : [path];
    });
}

const read = (path: string) => readFileSync(join(projectRoot, path), 'utf8');
const sources = filesUnder('src').filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
const inSrc = (path: string) => relative('src', path).split(sep).join('/');

/** All of `import ... from`, `export ... from`, `import '...'` and `import('...')`. */
function importsOf(path: string): Import[] {
  const pattern = /\b(?:import|export)\s+(?:(type\s)?([^'";]*?)\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/g;
  return [...read(path).matchAll(pattern)].map(([, type, names = '', target, dynamic]) => {
    const to = (target ?? dynamic)!;
    const named = /^\{(.*)\}$/s
      .exec(names.trim())?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '');
    return {
      from: inSrc(path),
      to: to.startsWith('.') ? inSrc(join(dirname(path), to)).replace(/\.js$/, '.ts') : to,
      typeOnly: type !== undefined || (named?.every((name) => name.trim().startsWith('type ')) ?? false),
    };
  });
}

const imports = sources.flatMap(importsOf);
const partOf = (path: string) => path.split('/')[0]!;
const show = ({ from, to, typeOnly }: Import) => `src/${from} -> ${typeOnly ? 'type ' : ''}${to}`;
const ours = imports.filter(({ to }) => sources.includes(`src/${to}`));

const structure = suite('structure');

structure('every relative import was understood', () => {
  const relatives = sources.flatMap((path) => read(path).match(/'\.\.?\/[^']*\.js'/g) ?? []);
  const urls = sources.flatMap((path) => read(path).match(/new URL\('[^']*\.js'/g) ?? []);
  assert.is(ours.length, relatives.length - urls.length);
  assert.ok(ours.length > 200);
});

structure('imports point one way', () => {
  assert.equal([...new Set(sources.map(inSrc).map(partOf))].sort(), Object.keys(MAY_IMPORT).sort());
  const wrong = ours.filter(({ from, to, typeOnly }) => {
    const [a, b] = [partOf(from), partOf(to)];
    if (a === b) return false;
    const mayOnlyType = TYPES_ONLY.some(([x, y]) => x === a && y === b);
    return !MAY_IMPORT[a]!.includes(b) || (mayOnlyType && !typeOnly);
  });
  assert.equal(wrong.map(show), []);
});

structure('actors meet in the pipeline: nobody imports an actor, except its types', () => {
  const actors = sources.filter((path) => /^serve\(/m.test(read(path))).map(inSrc);
  assert.equal(
    actors.sort(),
    ['evaluator', 'loader', 'student', 'teacher'].map((name) => `actors/${name}.ts`),
  );
  assert.equal(ours.filter(({ to, typeOnly }) => actors.includes(to) && !typeOnly).map(show), []);
});

structure('devices know nothing of each other', () => {
  const device = (path: string) => /^devices\/([^/]+)\//.exec(path)?.[1];
  const crossing = ours.filter(({ from, to }) => device(from) && device(to) && device(from) !== device(to));
  assert.equal(crossing.map(show), []);
});

structure('only src/wasm loads built WebAssembly, only devices/webgpu reads kernels', () => {
  const mentioning = (pattern: RegExp) => sources.filter((path) => pattern.test(read(path))).map(dirname);
  assert.equal(
    [...new Set(mentioning(/\.wasm[`']|WebAssembly\.(Module\(|compile|instantiate)/))],
    ['src/wasm'],
  );
  const readers = [...new Set(mentioning(/\.wgsl|['"`/]kernels\//))];
  assert.equal(
    readers.filter((folder) => !folder.startsWith('src/devices/webgpu')),
    [],
  );
});

structure('every test file runs its tests', () => {
  const tests = filesUnder('tests').filter((path) => path.endsWith('.test.ts'));
  assert.ok(tests.length > 15);
  for (const path of tests) {
    const text = read(path);
    const plain = [...text.matchAll(/\b(\w+) = suite(?:<[^>]*>)?\(/g)].map(([, name]) => name!);
    const onGpu = [...text.matchAll(/\{ tests(?:: (\w+))?, test(?:: \w+)? \} = gpuSuite\(/g)];
    const suites = [...plain, ...onGpu.map(([, name = 'tests']) => name)];
    const wanted = suites.length > 0 ? suites : ['test'];
    for (const name of wanted)
      assert.match(text, new RegExp(`\\b${name}\\.run\\(\\)`), `${path}: ${name}.run()`);
  }
});

structure('what a sitting runs is there', () => {
  const programs = [...read('bench/sittingParts.ts').matchAll(/\bnode\('([\w/]+)'/g)].map(
    ([, name]) => `${name}.ts`,
  );
  assert.ok(programs.length >= 3);
  for (const path of programs) assert.ok(existsSync(join(projectRoot, path)), path);
});

structure(`no file is longer than ${MOST_LINES} lines`, () => {
  const files = ['src', 'assembly', 'kernels', 'bench', 'tests'].flatMap(filesUnder);
  const long = files
    .filter((path) => /\.(ts|wgsl|py)$/.test(path))
    .map((path) => [path, read(path).trimEnd().split('\n').length] as const)
    .filter(([, lines]) => lines > MOST_LINES);
  assert.equal(long, []);
});

structure("the README's list of folders is true", () => {
  const listed = [...read('README.md').matchAll(/^- `([\w./-]+\/)`/gm)].map(([, path]) => path!.slice(0, -1));
  const onDisk = [...new Set(ROOTS.flatMap(filesUnder).map((path) => dirname(path).split(sep).join('/')))];
  const mirrored = (path: string) => onDisk.includes(path.replace(/^tests\//, 'src/'));
  const isDetail = (path: string) => /^tests\/[^/]+\/./.test(path);
  const missing = onDisk.filter(
    (path) => !listed.includes(path) && !(path.startsWith('tests/') && (mirrored(path) || isDetail(path))),
  );
  assert.equal(missing, [], 'folders without a line');
  assert.equal(
    listed.filter((path) => !onDisk.includes(path)),
    [],
    'lines without a folder',
  );
});

structure('every op has its file in program, devices/wasm, tests and bench', () => {
  const names = (folder: string, ending: string) =>
    filesUnder(folder)
      .filter((path) => path.endsWith(ending) && dirname(path) === folder)
      .map((path) => basename(path, ending));
  const ops = names('src/program/ops', '.ts').filter((name) => name !== 'index');
  assert.ok(ops.length >= 9);
  for (const folder of ['src/devices/wasm/lowering', 'assembly', 'tests/ops', 'bench']) {
    const there = names(folder, '.ts');
    assert.equal(
      ops.filter((op) => !there.includes(op)),
      [],
      `ops without a file in ${folder}`,
    );
  }
});

structure.run();
