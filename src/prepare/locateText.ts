import type { RunFile } from '../formats/runFile.js';
import { isRemote, parseAddress, pinned } from '../hub/address.js';
import { datasetCommit } from '../hub/dataset.js';
import { repositoryOf, resolveModel } from '../hub/resolveModel.js';
import type { TrainOptions } from '../options/train.js';
import type { DownloadRecord } from '../records.js';

/** Where the text of a run is: as the options say, with datasets on the Hub at one commit for the whole run. */
export interface TextPaths {
  readonly data: readonly string[];
  readonly evalData: readonly string[] | undefined;
  /** Folder of the model whose token ids it is given as. */
  readonly idsTokenizer: string | undefined;
  /** Commits by `datasets/owner/name@revision`, and that of `idsTokenizer`. */
  readonly commits: Readonly<Record<string, string>>;
}

/** How the text at `paths` is read. @param idsTokenizer where the model of that option was found */
export function textOptions(
  options: Partial<Pick<TrainOptions, 'textColumn' | 'idsTokenizer' | 'separator' | 'qmsum'>> &
    Pick<TrainOptions, 'onBadDocument'>,
  paths: readonly string[],
  idsTokenizer = options.idsTokenizer,
) {
  const { textColumn, separator, qmsum, onBadDocument: onBad } = options;
  return {
    paths,
    textColumn,
    idsTokenizer,
    qmsum,
    onBad,
    ...(separator === undefined ? {} : { separator: separator.replaceAll('\\n', '\n') }),
  };
}

/**
 * A run that goes on gets the commits it began with.
 * @param signal ends downloads: the promise rejects
 * @throws InputError, RunError as `datasetCommit` and `resolveModel` do
 */
export async function locateText(
  options: Pick<TrainOptions, 'data' | 'evalData' | 'idsTokenizer'>,
  before: RunFile | undefined,
  onProgress: (record: DownloadRecord) => void = () => {},
  signal?: AbortSignal,
): Promise<TextPaths> {
  const known = before?.commits ?? {};
  const commits: Record<string, string> = {};
  const locate = async (path: string): Promise<string> => {
    if (!isRemote(path)) return path;
    const address = parseAddress(path);
    const key = `datasets/${address.name}@${address.revision}`;
    commits[key] ??= known[key] ?? (await datasetCommit(path, { signal }));
    return pinned(address, commits[key]);
  };
  const data: string[] = [];
  for (const path of options.data) data.push(await locate(path));
  const evalData = options.evalData === undefined ? undefined : [await locate(options.evalData)];
  const ids = options.idsTokenizer;
  if (ids === undefined) return { data, evalData, idsTokenizer: undefined, commits };
  const pin = known.idsTokenizer;
  const wanted = pin === undefined ? ids : `${repositoryOf(ids)}@${pin}`;
  const { folder, commit } = await resolveModel(wanted, { kind: 'tokenizer', onProgress, signal });
  if (commit !== undefined) commits.idsTokenizer = commit;
  return { data, evalData, idsTokenizer: folder, commits };
}
