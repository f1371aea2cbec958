import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { projectRoot } from './support.js';

/** The project's own rules: which way imports point, how long files are, and that the list of folders is true. */

const MOST_LINES = 400;
const ROOTS = ['src', 'assembly', 'kernels', 'bench', 'recipes', 'tests', 'docs'];

/**
 * The rooms of src/ from the ground up: each imports from floors below its own alone, types too. Programs live on top:
 * they turn options into a call of the library.
 */
const FLOORS = [
  ...['base', 'options', 'records.ts', 'messages.ts'],
  ...['program', 'wasm', 'devices', 'world'],
  ...['formats', 'hub', 'data'],
  ...['model', 'training', 'evaluation', 'inference', 'prepare'],
  ...['actors', 'report', 'run', 'study', 'library', 'index.ts', 'cli'],
];
const PROGRAMS = [
  ...[
    'cache.ts',
    'evaluate.ts',
    'generate.ts',
    'merge.ts',
    'rivulet.ts',
    'study.ts',
    'tokenize.ts',
    'train.ts',
  ],
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

structure('imports point down the floors', () => {
  assert.equal([...new Set(sources.map(inSrc).map(partOf))].sort(), [...FLOORS, ...PROGRAMS].sort());
  const floorOf = (path: string) => (PROGRAMS.includes(path) ? FLOORS.length : FLOORS.indexOf(partOf(path)));
  const wrong = ours.filter(({ from, to }) => partOf(from) !== partOf(to) && floorOf(to) >= floorOf(from));
  assert.equal(wrong.map(show), []);
});

structure('no file imports itself by way of others', () => {
  const targets = new Map<string, string[]>();
  for (const { from, to } of ours) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    assert.is(trail.includes(path), false, [...trail, path].join(' -> '));
    if (done.has(path)) return;
    for (const next of targets.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of sources.map(inSrc)) walk(path, []);
});

structure('options, records and messages import nothing of ours but errors', () => {
  const ground = ours.filter(({ from }) => ['options', 'records.ts', 'messages.ts'].includes(partOf(from)));
  assert.equal(
    ground.filter(({ from, to }) => partOf(from) !== partOf(to) && partOf(to) !== 'base').map(show),
    [],
  );
});

structure('actors meet in the run: nobody imports an actor, except its types', () => {
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
    const onGpu = [...text.matchAll(/\{ tests(?:: (\w+))?, test(?:: \w+)? \} = (?:gpu|nullGpu)Suite\(/g)];
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

structure('the list of folders in CONTRIBUTING.md is true', () => {
  const listed = [...read('CONTRIBUTING.md').matchAll(/^- `([\w./-]+\/)`/gm)].map(([, path]) =>
    path!.slice(0, -1),
  );
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
