/// <reference path="../src/wasm/webassembly.d.ts" />
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** How fast threads read memory and do nothing with it: what decoding is held to. */

interface Part {
  readonly memory: WebAssembly.Memory;
  readonly from: number;
  readonly bytes: number;
}

const PASSES = 12;
const PAGE = 65_536;

/** @returns GB/s of all threads together, of the fastest pass */
export async function measureRead(threads: number, bytes: number): Promise<number> {
  const pages = Math.ceil(bytes / PAGE / threads) * threads;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).fill(1);
  const share = (pages / threads) * PAGE;
  const workers = Array.from({ length: threads }, (_, i) => {
    const data: Part = { memory, from: i * share, bytes: share };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const seconds: number[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const start = performance.now();
    for (const worker of workers) worker.postMessage('read');
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    seconds.push((performance.now() - start) / 1000);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return (pages * PAGE) / Math.min(...seconds) / 1e9;
}

if (!isMainThread) {
  const { memory, from, bytes } = workerData as Part;
  const module = new WebAssembly.Module(readFileSync(new URL('./read.wasm', import.meta.url)));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const { read } = instance.exports as { read(from: number, bytes: number): number };
  parentPort!.on('message', () => {
    read(from, bytes);
    parentPort!.postMessage('read');
  });
  parentPort!.postMessage('ready');
}
