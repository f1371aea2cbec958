import { dirname } from 'node:path';
import type { RunFile } from '../formats/runFile.js';
import { missingFile } from '../hub/files.js';
import { type ModelOutline, outlineModel } from '../hub/outlineModel.js';
import { type LocalModel, repositoryOf, resolveModel } from '../hub/resolveModel.js';
import { openModelFiles, outlineModelFiles } from '../model/modelFiles.js';
import type { ModelFiles } from '../model/weights.js';
import { isStart } from '../options/init.js';
import type { TrainOptions } from '../options/train.js';
import type { DownloadRecord } from '../records.js';

/** Where the models of a run are. */
export interface Models {
  /** Folder of the student, or of the config it is made from: where its tokenizer is. */
  readonly student: string;
  readonly teacher: string | undefined;
  /** The adapter to start from, if it is one and the run starts. */
  readonly init: string | undefined;
  /** The student's name for the adapter's config: without a revision. */
  readonly baseModel: string;
  /** Of models by Hub name: the commits, by option. */
  readonly commits: Readonly<Record<string, string>>;
  /** Of a dry run, for weights that are on the Hub alone: what their headers say, by option. */
  readonly headers: Readonly<Partial<Record<'student' | 'teacher' | 'init', ModelOutline['headers']>>>;
}

/**
 * Folders of the models, fetched where they are given by Hub name; a run that goes on gets the commits it began with. A dry
 * run fetches no weights, but those of a teacher with a cache, which are part of what the cache is known by.
 * @param goesOn from a checkpoint, which has what the adapter to start from has become: that one need not be there any more
 * @param signal ends downloads: the promise rejects
 */
export async function locateModels(
  options: TrainOptions,
  before: RunFile | undefined,
  onProgress: (record: DownloadRecord) => void,
  goesOn = false,
  signal?: AbortSignal,
): Promise<Models> {
  const pinned = before?.commits;
  const commits: Record<string, string> = {};
  const headers: Record<string, ModelOutline['headers']> = {};
  const locate = async (option: 'student' | 'teacher' | 'init'): Promise<string | undefined> => {
    const text = options[option];
    const isNone = (option === 'teacher' && text === 'none') || (option === 'init' && isStart(text!));
    if (text === undefined || isNone) return undefined;
    const commit = pinned?.[option];
    if (option === 'init' && goesOn) {
      if (commit !== undefined) commits.init = commit;
      return undefined;
    }
    const wanted = pinnedTo(commit, text);
    const kind = option === 'init' ? 'adapter' : 'model';
    const found: LocalModel & Partial<ModelOutline> = needsWeights(options, option)
      ? await resolveModel(wanted, { kind, onProgress, signal })
      : await outlineModel(wanted, { onProgress, signal });
    if (found.commit !== undefined) commits[option] = found.commit;
    if (found.headers) headers[option] = found.headers;
    return found.folder;
  };
  const [student, teacher, init] = [await locate('student'), await locate('teacher'), await locate('init')];
  const folder = student ?? dirname(options.fromConfig!);
  const baseModel = commits.student === undefined ? folder : repositoryOf(options.student!)!;
  return { student: folder, teacher, init, baseModel, commits, headers };
}

const pinnedTo = (commit: string | undefined, text: string): string =>
  commit === undefined ? text : `${repositoryOf(text)}@${commit}`;

/** The adapter that a run has started from, wherever the run is by now. @param commits of the run */
export async function startingAdapter(
  { init }: Pick<TrainOptions, 'init'>,
  commits: Models['commits'],
): Promise<string | undefined> {
  if (isStart(init)) return undefined;
  return (await resolveModel(pinnedTo(commits.init, init), { kind: 'adapter' })).folder;
}

const needsWeights = (
  { dryRun, teacherCache }: TrainOptions,
  option: 'student' | 'teacher' | 'init',
): boolean => !dryRun || option === 'init' || (option === 'teacher' && teacherCache !== undefined);

/** A model of a run; of a dry run also one whose weights are not here. @throws InputError as `openModelFiles` does */
export function openModel(
  option: 'student' | 'teacher',
  folder: string,
  { headers }: Models,
  options: TrainOptions,
): ModelFiles {
  const isHere = missingFile('model', folder) === undefined;
  if (isHere || needsWeights(options, option)) return openModelFiles(folder);
  return outlineModelFiles(folder, headers[option]);
}
