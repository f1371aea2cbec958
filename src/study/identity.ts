import { createHash } from 'node:crypto';
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { version } from '../base/version.js';
import { hashTexts, rangesOf } from '../data/documents/contentHash.js';
import { parseData } from '../data/documents/sources.js';
import { idsTokenizer } from '../data/documents/tokenIds.js';
import { fingerprintOf } from '../data/shards/fingerprint.js';
import { taskData } from '../evaluation/tasks/taskData.js';
import { hashFile, hashRanges, startHash } from '../formats/hashes.js';
import { isRemote, parseAddress, pinned } from '../hub/address.js';
import { datasetCommit } from '../hub/dataset.js';
import { resolveModel } from '../hub/resolveModel.js';
import { isStart } from '../options/init.js';
import { isOperational, type TrainOptions } from '../options/train.js';

/** Where a branch begins. */
export interface Beginning {
  /** Key of the cell. */
  readonly from: string;
  readonly step: number;
}

/** Form of the keys: cells of another one are other cells. */
const FORM = 1;

/** What the files of a model or an adapter end in. */
const MODEL_FILES = /\.(json|safetensors|jinja|model)$/;

/** Places, and how a run is started. */
const LEFT_OUT = ['out', 'fork', 'config', 'resume', 'dryRun'];
/**
 * Options that may change on a resume, and yet say what is told; where there is a cache, how documents are cut; or what a
 * whole model is rounded to before it is measured.
 */
const TOLD = ['evalEvery', 'teacherCache', 'saveDtype'];

/** Tells cells apart by the contents of all that decides their results. Files are hashed once each. */
export class Identities {
  readonly #device: string;
  readonly #known = new Map<string, Promise<string>>();

  /** @param device name of what the student runs on: other devices round otherwise */
  constructor(device: string) {
    this.#device = device;
  }

  /** 16 hexadecimal digits of SHA-256. @throws InputError where a model or a text can't be read */
  async keyOf(options: TrainOptions, beginning?: Beginning): Promise<string> {
    const entries = Object.entries(options).filter(
      ([name, value]) =>
        value !== undefined && !LEFT_OUT.includes(name) && (TOLD.includes(name) || !isOperational(name)),
    );
    const facts: [string, unknown][] = [];
    for (const [name, value] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
      facts.push([name, await this.#contentOf(name, value)]);
    }
    const all = JSON.stringify({ form: FORM, version, device: this.#device, beginning, facts });
    return createHash('sha256').update(all).digest('hex').slice(0, 16);
  }

  async #contentOf(name: string, value: unknown): Promise<unknown> {
    switch (name) {
      case 'student':
        return this.ofModel(String(value), 'model');
      case 'teacher':
        return value === 'none' ? value : this.ofModel(String(value), 'model');
      case 'init':
        return isStart(String(value)) ? value : this.ofModel(String(value), 'adapter');
      case 'idsTokenizer':
        return this.#once(`ids ${value}`, async () => fingerprintOf(await idsTokenizer(String(value))));
      case 'teacherCache':
        return true;
      case 'taskData':
        return this.#once(`folder ${value}`, () => hashTaskData(String(value)));
      case 'fromConfig':
        return this.#once(`config ${value}`, () => hashConfig(String(value)));
      case 'chatTemplate':
        return this.#once(`file ${value}`, () => hashFile(String(value)));
      case 'data':
        return Promise.all((value as string[]).map((path) => this.ofText(path)));
      case 'evalData':
        return this.ofText(String(value));
      default:
        return value;
    }
  }

  /** Of the files of a model or an adapter, by path or by name on the Hub. */
  readonly ofModel = (model: string, kind: 'model' | 'adapter'): Promise<string> =>
    this.#once(`${kind} ${model}`, () => hashModel(model, kind));

  /** Of a text as `--data` has it. */
  readonly ofText = (path: string): Promise<string> => this.#once(`text ${path}`, () => hashText(path));

  #once(what: string, hash: () => Promise<string>): Promise<string> {
    const known = this.#known.get(what) ?? hash();
    this.#known.set(what, known);
    return known;
  }
}

async function hashModel(model: string, kind: 'model' | 'adapter'): Promise<string> {
  const { folder } = await resolveModel(model, { kind });
  const files = readdirSync(folder)
    .filter((name) => MODEL_FILES.test(name))
    .sort()
    .map((name) => ({ name, size: statSync(join(folder, name)).size }));
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const parts: string[] = [];
  for (const { name, size } of files) {
    const hash = await startHash();
    await hashRanges(hash, join(folder, name), rangesOf(size, total));
    parts.push(`${name} ${size} ${hash.digest()}`);
  }
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

/** What makes text of a model into ids, where it is there. */
const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/** Of a config, and of the tokenizer that lies beside it. */
async function hashConfig(path: string): Promise<string> {
  const beside = TOKENIZER_FILES.map((name) => join(dirname(path), name)).filter((file) => existsSync(file));
  const hashes: string[] = [];
  for (const file of [path, ...beside]) hashes.push(await hashFile(file));
  return hashes.join();
}

/** Names and contents of all that is in a folder of task data. @throws InputError where there is none */
async function hashTaskData(path: string): Promise<string> {
  const folder = taskData(path).folder!;
  const hash = createHash('sha256');
  for (const name of filesBelow(folder)) hash.update(`${name} ${await hashFile(join(folder, name))}\n`);
  return hash.digest('hex').slice(0, 16);
}

/** Sorted; what links lead to is taken for what it is, but no folder again that it lies in. */
function filesBelow(folder: string, below = '', around: readonly string[] = []): string[] {
  const here = realpathSync(join(folder, below));
  if (around.includes(here)) return [];
  return readdirSync(here)
    .sort()
    .flatMap((name) => {
      const status = statSync(join(here, name), { throwIfNoEntry: false });
      if (status?.isDirectory()) return filesBelow(folder, join(below, name), [...around, here]);
      return status?.isFile() ? [join(below, name)] : [];
    });
}

/** Contents and share of a text; of one on the Hub its name and commit. */
async function hashText(text: string): Promise<string> {
  const { path, weight } = parseData(text);
  const share = weight === undefined ? '' : `:${weight}`;
  if (!isRemote(path)) return `${Object.values(await hashTexts([path])).join()}${share}`;
  return `${pinned(parseAddress(path), await datasetCommit(path))}${share}`;
}
