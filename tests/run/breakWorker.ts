import { syncBuiltinESMExports } from 'node:module';
import threads, { BroadcastChannel, isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Loaded before a program (`--import`): breaks the worker thread named by BREAK_WORKER. BREAK_HOW says how: `exit` ends
 * the thread, `throw` throws in it, `stall` has it do nothing for ever; BREAK_WHEN says when: at its `start`, or as soon as the run has printed a `step`.
 */
const { BREAK_WORKER: name, BREAK_HOW: how, BREAK_WHEN: when } = process.env;

if (isMainThread) watchOver();
else if (process.env.BREAK_HERE === 'yes') breakHere();

/** In the main thread: every Worker from now on is a WatchedWorker. */
function watchOver(): void {
  const victims: Worker[] = [];
  class WatchedWorker extends Worker {
    constructor(file: URL, options: WorkerOptions) {
      const isVictim = options.name === name;
      const preload = ['--import', import.meta.url];
      super(file, {
        ...options,
        ...(isVictim && { execArgv: preload, env: { ...process.env, BREAK_HERE: 'yes' } }),
      });
      if (!isVictim) return;
      victims.push(this);
      if (when !== 'start') return;
      process.stderr.write('BROKEN NOW\n');
      if (how === 'exit') void this.terminate();
    }
  }
  threads.Worker = WatchedWorker;
  syncBuiltinESMExports();
  if (when === 'step') onFirstStep(() => strike(victims));
}

function strike(victims: readonly Worker[]): void {
  if (how === 'exit') for (const victim of victims) void victim.terminate();
  else {
    const channel = new BroadcastChannel('break');
    channel.postMessage('now');
    channel.close();
  }
}

function onFirstStep(then: () => void): void {
  const write = process.stderr.write.bind(process.stderr);
  let done = false;
  process.stderr.write = ((text: string) => {
    const result = write(text);
    if (!done && /^step /.test(text)) {
      done = true;
      write('BROKEN NOW\n');
      then();
    }
    return result;
  }) as typeof process.stderr.write;
}

/** In the victim's thread. */
function breakHere(): void {
  const fail = () => {
    throw new Error('broken on purpose');
  };
  if (how === 'throw' && when === 'start') fail();
  const channel = new BroadcastChannel('break');
  const stall = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  channel.onmessage = how === 'stall' ? stall : fail;
  channel.unref();
}
