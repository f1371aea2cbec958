import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { get_encoding } from 'tiktoken';
import { Tokenizer as Native } from 'tokenizers';
import { randomUint32 } from '#src/data/random.js';
import { loadTokenizer, type Tokenizer } from '#src/data/tokenizer.js';
import { sharedPath } from '#tests/support.js';
import { percentiles } from './measure.js';

/** Characters handed over at once. */
const PIECE = 20_000;
const ROUNDS = 5;
const SEED = 5;

export interface TokenizerResult {
  readonly case: string;
  /** MB (10^6 bytes of UTF-8) a second of CPU time, medians; peers where they were asked. */
  readonly mbps: number;
  readonly native_mbps?: number;
  readonly tiktoken_mbps?: number;
}

export interface TokenizerReport {
  /** Wall and CPU time of loading. */
  readonly load_s: number;
  readonly load_cpu_s: number;
  /** What loading added to the process, and the WASM memory in it after all texts. */
  readonly resident_bytes: number;
  readonly wasm_bytes: number;
  /** Throughput of two workers by that of one, in wall time. */
  readonly two_workers: number;
  readonly results: readonly TokenizerResult[];
}

type Encode = (piece: string) => unknown;

/** The Llama 3 tokenizer on texts of several kinds, next to its peers; undefined without the shared data. */
export async function measureTokenizer(): Promise<TokenizerReport | undefined> {
  const folder = sharedPath('data/tokenizers/llama3');
  const texts = sharedPath('data/text');
  if (folder === undefined || texts === undefined) return undefined;
  const before = process.memoryUsage().rss;
  const [start, startCpu] = [performance.now(), process.cpuUsage()];
  const ours = await loadTokenizer(folder);
  const load_s = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(startCpu);
  const load_cpu_s = (user + system) / 1e6;
  const resident_bytes = process.memoryUsage().rss - before;
  const results = await measureTexts(folder, ours, texts);
  const stories = join(texts, 'tinystories.txt');
  const [one, two] = [await workersRate(1, folder, stories), await workersRate(2, folder, stories)];
  return {
    load_s,
    load_cpu_s,
    resident_bytes,
    wasm_bytes: ours.memoryBytes,
    two_workers: two / one,
    results,
  };
}

async function measureTexts(folder: string, ours: Tokenizer, texts: string): Promise<TokenizerResult[]> {
  const read = (name: string) => pieces(readFileSync(join(texts, name), 'utf8'));
  const peers = {
    native: Native.fromFile(join(folder, 'tokenizer.json')),
    tiktoken: get_encoding('cl100k_base'),
  };
  const encode = (piece: string) => ours.encode(piece, { addSpecialTokens: false });
  const withPeers = {
    encode,
    native: async (piece: string) =>
      (await peers.native.encode(piece, null, { addSpecialTokens: false })).getIds(),
    tiktoken: (piece: string) => peers.tiktoken.encode_ordinary(piece),
  };
  const bytes = Buffer.from(Uint8Array.from({ length: 1e7 }, (_, i) => randomUint32(SEED, 1, i)));
  const results = [
    await measure('tinystories.txt', [read('tinystories.txt')], withPeers),
    await measure('redpajama_arxiv_sample.jsonl', [read('redpajama_arxiv_sample.jsonl')], withPeers),
    await measure('words that never repeat', distinctWords(60_000).map(pieces), withPeers),
    await measure('10 MB of one letter, at once', [['a'.repeat(1e7)]], { encode }),
    await measure('10 MB of random bytes as UTF-8, at once', [[bytes.toString()]], { encode }),
    await measure('10 MB of random bytes as Latin-1, at once', [[bytes.toString('latin1')]], { encode }),
  ];
  peers.tiktoken.free();
  return results;
}

function pieces(text: string): string[] {
  return Array.from({ length: Math.ceil(text.length / PIECE) }, (_, i) =>
    text.slice(i * PIECE, (i + 1) * PIECE),
  );
}

/** A text for each round, none with a word of another. */
function distinctWords(count: number): string[] {
  const words = new Set<string>();
  for (let i = 0; words.size < ROUNDS * count; i++) {
    const length = 4 + (randomUint32(SEED, i, 0) % 6);
    words.add(Array.from({ length }, (_, k) => 'etaoinshrdlu'[randomUint32(SEED, i, k + 1) % 12]).join(''));
  }
  const all = [...words];
  return Array.from({ length: ROUNDS }, (_, round) =>
    all.slice(round * count, (round + 1) * count).join(' '),
  );
}

/** Rounds of all encoders by turns, so that what else the machine does meets them alike; `texts` of a round. */
async function measure(
  name: string,
  texts: readonly (readonly string[])[],
  encoders: { encode: Encode; native?: Encode; tiktoken?: Encode },
): Promise<TokenizerResult> {
  const secondsPerMb: Record<string, number[]> = { encode: [], native: [], tiktoken: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const list = texts[round % texts.length]!;
    const megabytes = list.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
    for (const [who, encode] of Object.entries(encoders)) {
      const before = process.cpuUsage();
      for (const text of list) await encode(text);
      const { user, system } = process.cpuUsage(before);
      secondsPerMb[who]!.push((user + system) / 1e6 / megabytes);
    }
  }
  const rate = (who: string) => Number((1 / percentiles(secondsPerMb[who]!).seconds_p50).toFixed(2));
  return {
    case: name,
    mbps: rate('encode'),
    ...(encoders.native && { native_mbps: rate('native') }),
    ...(encoders.tiktoken && { tiktoken_mbps: rate('tiktoken') }),
  };
}

/** MB a second of wall time of some workers that encode the same text at once. */
async function workersRate(count: number, folder: string, text: string): Promise<number> {
  const url = new URL('./tokenizerWorker.js', import.meta.url);
  const workers = Array.from(
    { length: count },
    () => new Worker(url, { workerData: { folder, text, PIECE } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ends = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage('start');
  const rates = await Promise.all(ends);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return rates.reduce((sum, [rate]) => sum + Number(rate), 0);
}

export function tokenizerLines({ results, ...report }: TokenizerReport): string {
  const ordinary = results[0]!.mbps;
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const lines = results.map(({ case: name, mbps, native_mbps, tiktoken_mbps }) => {
    const peer = (who: string, rate?: number) =>
      rate ? `  ${who} ${rate} (${(mbps / rate).toFixed(1)}x)` : '';
    const against = native_mbps
      ? ''
      : `  ${(ordinary / mbps).toFixed(1)}x the time of tinystories.txt a byte`;
    return `${name.padEnd(44)} ${mbps.toFixed(1).padStart(7)} MB/s${peer('tokenizers', native_mbps)}${peer('tiktoken', tiktoken_mbps)}${against}`;
  });
  return [
    `Llama 3 tokenizer: loads in ${report.load_s.toFixed(2)} s (${report.load_cpu_s.toFixed(2)} s of CPU time), ${mib(report.resident_bytes)} resident after that, ` +
      `${mib(report.wasm_bytes)} of WASM memory at the end; two workers ${report.two_workers.toFixed(2)}x one`,
    ...lines,
  ].join('\n');
}
