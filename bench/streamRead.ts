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

export interface ReadRates {
  /** GB/s of all threads together, in the fastest pass: each from the start of its share to the end. */
  readonly one_stream: number;
  /** The same with four quarters of its share side by side. */
  readonly four_streams: number;
}

export async function measureRead(threads: number, bytes: number): Promise<ReadRates> {
  const pages = Math.ceil(bytes / PAGE / threads) * threads;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  new Uint8Array(memory.buffer).fill(1);
  const share = (pages / threads) * PAGE;
  const workers = Array.from({ length: threads }, (_, i) => {
    const data: Part = { memory, from: i * share, bytes: share };
    return new Worker(new URL(import.meta.url), { workerData: data });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const fastest = async (streams: number): Promise<number> => {
    const seconds: number[] = [];
    for (let pass = 0; pass < PASSES; pass++) {
      const start = performance.now();
      for (const worker of workers) worker.postMessage(streams);
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      seconds.push((performance.now() - start) / 1000);
    }
    return Number(((pages * PAGE) / Math.min(...seconds) / 1e9).toFixed(2));
  };
  const rates = { one_stream: await fastest(1), four_streams: await fastest(4) };
  await Promise.all(workers.map((worker) => worker.terminate()));
  return rates;
}

if (!isMainThread) {
  const { memory, from, bytes } = workerData as Part;
  const module = new WebAssembly.Module(readFileSync(new URL('./read.wasm', import.meta.url)));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const { read } = instance.exports as {
    read(from: number, bytes: number, streams: number): number;
  };
  parentPort!.on('message', (streams: number) => {
    read(from, bytes, streams);
    parentPort!.postMessage('read');
  });
  parentPort!.postMessage('ready');
}
