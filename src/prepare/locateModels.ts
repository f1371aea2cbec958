import { dirname } from 'node:path';
import type { RunFile } from '../formats/runFile.js';
import { repositoryOf, resolveModel } from '../hub/resolveModel.js';
import { isStart } from '../options/init.js';
import type { TrainOptions } from '../options/train.js';
import type { DownloadRecord } from '../records.js';

/** Where the models of a run are. */
export interface Models {
  /** Folder of the student, or of the config it is made from: where its tokenizer is. */
  readonly student: string;
  readonly teacher: string | undefined;
  /** The adapter to start from, if it is one. */
  readonly init: string | undefined;
  /** The student's name for the adapter's config: without a revision. */
  readonly baseModel: string;
  /** Of models by Hub name: the commits, by option. */
  readonly commits: Readonly<Record<string, string>>;
}

/** Folders of the models, fetched where they are given by Hub name; a run that goes on gets the commits it began with. */
export async function locateModels(
  options: TrainOptions,
  before: RunFile | undefined,
  onDownload: (record: DownloadRecord) => void,
): Promise<Models> {
  const pinned = before?.commits;
  const commits: Record<string, string> = {};
  const locate = async (option: 'student' | 'teacher' | 'init'): Promise<string | undefined> => {
    const text = options[option];
    const isNone = (option === 'teacher' && text === 'none') || (option === 'init' && isStart(text!));
    if (text === undefined || isNone) return undefined;
    const commit = pinned?.[option];
    const wanted = commit === undefined ? text : `${repositoryOf(text)}@${commit}`;
    const kind = option === 'init' ? 'adapter' : 'model';
    const found = await resolveModel(wanted, { kind, onProgress: onDownload });
    if (found.commit !== undefined) commits[option] = found.commit;
    return found.folder;
  };
  const [student, teacher, init] = [await locate('student'), await locate('teacher'), await locate('init')];
  const folder = student ?? dirname(options.fromConfig!);
  const baseModel = commits.student === undefined ? folder : repositoryOf(options.student!)!;
  return { student: folder, teacher, init, baseModel, commits };
}
