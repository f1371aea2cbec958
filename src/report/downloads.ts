import { oneLine } from '../base/errors.js';
import type { DownloadRecord } from '../records.js';
import { isTerminal, throttledLine } from './throttledLine.js';

/** Whole MiB, rounded up. */
export const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

/** One line about a download: model, file, how much of all that is wanted. */
export function downloadLine({ model, file, bytes, total_bytes: total }: DownloadRecord): string {
  const percent = total === 0 ? 100 : Math.floor((100 * bytes) / total);
  return oneLine(`fetching ${model}  ${mib(bytes)} of ${mib(total)}  ${percent} %  ${file}`);
}

/** Shows downloads on stderr as they go on. */
export function showDownloads(): (record: DownloadRecord) => void {
  const line = throttledLine();
  return (record) => {
    const isComplete = record.bytes === record.total_bytes;
    line.update(() => downloadLine(record), isComplete);
    if (isComplete && isTerminal()) line.done();
  };
}
