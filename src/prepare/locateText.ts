import type { RunFile } from '../formats/runFile.js';
import { isRemote, parseAddress, pinned } from '../hub/address.js';
import { datasetCommit } from '../hub/dataset.js';
import type { TrainOptions } from '../options/train.js';

/** Where the text of a run is: as the options say, with datasets on the Hub at one commit for the whole run. */
export interface TextPaths {
  readonly data: readonly string[];
  readonly evalData: readonly string[] | undefined;
  /** Commits by `datasets/owner/name@revision`. */
  readonly commits: Readonly<Record<string, string>>;
}

/** How the text at `paths` is read. */
export function textOptions(
  options: Partial<Pick<TrainOptions, 'textColumn' | 'separator' | 'qmsum'>> &
    Pick<TrainOptions, 'onBadDocument'>,
  paths: readonly string[],
) {
  const { textColumn, separator, qmsum, onBadDocument: onBad } = options;
  return {
    paths,
    textColumn,
    qmsum,
    onBad,
    ...(separator === undefined ? {} : { separator: separator.replaceAll('\\n', '\n') }),
  };
}

/** A run that goes on gets the commits it began with. @throws InputError, RunError as `datasetCommit` does */
export async function locateText(
  options: Pick<TrainOptions, 'data' | 'evalData'>,
  before: RunFile | undefined,
): Promise<TextPaths> {
  const known = before?.commits ?? {};
  const commits: Record<string, string> = {};
  const locate = async (path: string): Promise<string> => {
    if (!isRemote(path)) return path;
    const address = parseAddress(path);
    const key = `datasets/${address.name}@${address.revision}`;
    commits[key] ??= known[key] ?? (await datasetCommit(path));
    return pinned(address, commits[key]);
  };
  const data: string[] = [];
  for (const path of options.data) data.push(await locate(path));
  const evalData = options.evalData === undefined ? undefined : [await locate(options.evalData)];
  return { data, evalData, commits };
}
