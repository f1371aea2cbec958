import { MessageChannel } from 'node:worker_threads';
import type * as Comlink from 'comlink';
import { lastValueFrom, scan } from 'rxjs';
import { named, reach } from '../actors/actor.js';
import { Actors } from '../actors/actors.js';
import { pulled } from '../actors/credits.js';
import type { LoaderSetup } from '../actors/loader.js';
import type { Teacher, TeacherSetup } from '../actors/teacher.js';
import { Threads } from '../actors/threads.js';
import { throwIfStopped } from '../base/stopping.js';
import type { DeviceHost } from '../devices/host.js';
import type { BatchSource, MicroBatch } from '../messages.js';
import { textOptions } from '../prepare/locateText.js';
import type { CachePreparation } from '../prepare/prepareCache.js';
import type { Place } from '../world/world.js';

/** What a stopped call was for. */
export const FILLING = 'fill the cache, which keeps what is in it';

/** Tokens of the text so far, and those of them that the teacher read. */
export interface FilledTokens {
  readonly tokens: number;
  readonly teacherTokens: number;
}

const none: FilledTokens = { tokens: 0, teacherTokens: 0 };

/** Micro-batches asked for ahead. */
const CREDITS = 2;

export interface FillHooks {
  readonly onProgress: (tokens: FilledTokens) => void;
  readonly signal: AbortSignal;
}

/**
 * Has the teacher read all of the text that is not in the cache yet: loader -> teacher, each in its own thread.
 * @param share which micro-batches of the text are this rank's, see `CacheSetup`
 * @returns what came of those
 */
export async function fillCache(
  prepared: CachePreparation,
  host: DeviceHost,
  share: Pick<Place, 'rank' | 'size'>,
  hooks: FillHooks,
): Promise<FilledTokens> {
  const threads = new Threads();
  const actors = new Actors([host], threads);
  try {
    return await actors.guard(
      named(
        'cache',
        () => actors.doing,
        () => fill(prepared, host, actors, share, hooks),
      ),
    );
  } finally {
    await actors.close();
    await threads.close();
  }
}

async function fill(
  prepared: CachePreparation,
  host: DeviceHost,
  actors: Actors,
  { rank, size }: Pick<Place, 'rank' | 'size'>,
  { onProgress, signal }: FillHooks,
): Promise<FilledTokens> {
  const [toTeacher, fromTeacher, progress] = [
    new MessageChannel(),
    new MessageChannel(),
    new MessageChannel(),
  ];
  const setup: TeacherSetup = {
    files: prepared.teacher,
    shape: prepared.shape,
    device: host.connect(),
    cache: { ...prepared.cache, onUnwritable: 'stop', share: { rank, size } },
    source: toTeacher.port2,
    port: fromTeacher.port1,
    progress: progress.port1,
  };
  const [teacher] = await Promise.all([
    actors.start<Teacher>('teacher', setup),
    actors.start('loader', loaderSetup(prepared, toTeacher.port1)),
  ]);
  actors.doing = 'reading';
  const count = async ({ step, filled, spent }: MicroBatch): Promise<FilledTokens> => {
    throwIfStopped(signal, FILLING);
    if ((step - 1) % size !== rank) return none;
    return { tokens: filled.reduce((a, b) => a + b, 0), teacherTokens: spent.teacherTokens };
  };
  const sums = pulled(reach<BatchSource>(fromTeacher.port2), CREDITS, count).pipe(
    scan((sum, more) => {
      const all = { tokens: sum.tokens + more.tokens, teacherTokens: sum.teacherTokens + more.teacherTokens };
      onProgress(all);
      return all;
    }, none),
  );
  try {
    return await lastValueFrom(sums, { defaultValue: none });
  } finally {
    await (teacher as Comlink.Remote<Teacher>).flush();
  }
}

/** All of the text once, in its order. */
function loaderSetup(
  { options, paths, idsTokenizer, encoding, shape, teacher }: CachePreparation,
  port: LoaderSetup['port'],
): LoaderSetup {
  const { sequence, longDocuments, evalFraction } = options;
  return {
    tokenizer: teacher.folder,
    text: textOptions(options, paths, idsTokenizer),
    ...{ evalFraction, encoding, sequence, longDocuments, port },
    ...{
      batch: shape.rows,
      microBatch: shape.rows,
      own: { first: 0, count: 1 },
      shuffleRows: undefined,
      packing: 'best-fit',
    },
    ...{ seed: 0, repeat: false, keepsRows: false, step: 0 },
  };
}
