import { logUpdateStderr as log } from 'log-update';
import type { DownloadRecord } from '../messages.js';

const TERMINAL_MS = 100;
/** Without a terminal: a line this often. */
const PLAIN_MS = 10_000;

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString('en')} MiB`;

/** One line about a download: model, file, how much of all that is wanted. */
export function downloadLine({ model, file, bytes, total_bytes: total }: DownloadRecord): string {
  const percent = total === 0 ? 100 : Math.floor((100 * bytes) / total);
  return `fetching ${model}  ${mib(bytes)} of ${mib(total)}  ${percent} %  ${file}`;
}

/** Shows downloads on stderr as they go on: one line that is kept up to date on a terminal, plain lines elsewhere. */
export function showDownloads(): (record: DownloadRecord) => void {
  const terminal = process.stderr.isTTY === true;
  const every = terminal ? TERMINAL_MS : PLAIN_MS;
  let last = Number.NEGATIVE_INFINITY;
  return (record) => {
    const isComplete = record.bytes === record.total_bytes;
    const now = performance.now();
    if (now - last < every && !isComplete) return;
    last = now;
    if (!terminal) process.stderr.write(`${downloadLine(record)}\n`);
    else {
      log(downloadLine(record));
      if (isComplete) log.done();
    }
  };
}
