import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import { projectRoot, temporaryFolder } from '../../support.js';

/**
 * A GPU that is not there: Mesa's RADV without hardware, so that every pipeline is made by a real driver's compiler, with
 * a layer (layer.c) below which submits do nothing, at once. Nothing is computed, whatever is read is arbitrary.
 */

/** RADV's names of GPUs that differ in what they offer. */
export type NullGpuFamily = 'navi31' | 'navi21' | 'raven';

const ICD_FOLDER = '/usr/share/vulkan/icd.d';
const HEADER = '/usr/include/vulkan/vk_layer.h';
const LAYER = 'VK_LAYER_RIVULET_NULL_GPU';
const LIMIT_MS = 1_500_000;

const driver = existsSync(ICD_FOLDER)
  ? readdirSync(ICD_FOLDER).find((name) => /^radeon_icd\b.*\.json$/.test(name))
  : undefined;

/** What this machine lacks; looked for only where GPU tests must run, on a driver as well as without hardware. */
const missing: string | undefined = [
  ...(process.env.RIVULET_REQUIRE_WEBGPU === '1' ? [] : ['RIVULET_REQUIRE_WEBGPU=1']),
  ...(driver ? [] : [`Mesa's RADV in ${ICD_FOLDER} (mesa-vulkan-drivers)`]),
  ...(existsSync(HEADER) ? [] : [`${HEADER} (libvulkan-dev)`]),
  ...(spawnSync('gcc', ['--version']).status === 0 ? [] : ['gcc']),
][0];

if (missing !== undefined) console.log(`the null GPU is skipped: it needs ${missing}`);

/** A suite, and how to add a test that needs the null GPU to it. */
export function nullGpuSuite(name: string) {
  const tests = suite(name);
  return { tests, test: missing === undefined ? tests : (tests.skip as typeof tests) };
}

/** The folder with the layer, built once for a process. */
let built: string | undefined;

function buildLayer(): string {
  if (built !== undefined) return built;
  const folder = temporaryFolder('null-gpu');
  const library = join(folder, 'libnullgpu.so');
  const source = join(projectRoot, 'tests/devices/nullGpu/layer.c');
  const { status, stderr } = spawnSync('gcc', ['-O1', '-Wall', '-shared', '-fPIC', '-o', library, source], {
    encoding: 'utf8',
  });
  if (status !== 0 || statSync(library).size === 0) throw new Error(`layer.c does not compile: ${stderr}`);
  const layer = {
    ...{ name: LAYER, type: 'GLOBAL', library_path: library, api_version: '1.3.0' },
    ...{ implementation_version: '1', description: 'commands do nothing' },
  };
  writeFileSync(join(folder, 'layer.json'), JSON.stringify({ file_format_version: '1.1.0', layer }));
  built = folder;
  return folder;
}

/** The environment in which Vulkan has nothing but the null GPU. The driver's compiler tells its numbers on stderr. */
export function nullGpuEnv(family: NullGpuFamily): NodeJS.ProcessEnv {
  const folder = buildLayer();
  return {
    ...process.env,
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? '/tmp',
    RADV_FORCE_FAMILY: family,
    RADV_DEBUG: 'shaderstats,nocache',
    VK_DRIVER_FILES: join(ICD_FOLDER, driver!),
    VK_LAYER_PATH: folder,
    VK_INSTANCE_LAYERS: LAYER,
    RIVULET_CACHE: temporaryFolder('null-gpu-cache'),
    NO_COLOR: '1',
  };
}

export interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a compiled program of this folder on the null GPU. */
export function runOnNullGpu(
  family: NullGpuFamily,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const path = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...nullGpuEnv(family), ...env },
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr]: [string[], string[]] = [[], []];
  child.stdout.setEncoding('utf8').on('data', (text: string) => stdout.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => stderr.push(text));
  return new Promise((resolve) => {
    child.on('close', (code, signal) =>
      resolve({ code: signal ?? code!, stdout: stdout.join(''), stderr: stderr.join('') }),
    );
  });
}
