import { BadDocument, type DocumentSource } from '../data/documents.js';
import { type Encode, encodedOrBad } from '../data/encoding.js';
import { appendWindow, evaluationRows } from '../data/packing/windows.js';
import type { Row } from '../data/packing.js';

export interface WindowOptions {
  /** N: tokens of a window. */
  readonly sequence: number;
  /** What to do with a document that can't be encoded. */
  readonly onBad: 'stop' | 'skip';
  /** The most tokens to read, in whole windows, of which there is always one. Default: all. */
  readonly tokens?: number;
  /** Told of each document, or that it was left out. */
  readonly onDocument?: (isLeftOut: boolean) => void;
}

/**
 * An epoch of documents as rows of windows to score, one document in memory at a time; short windows share a row, where
 * they do not see each other.
 * @throws InputError at the first document that can't be read or encoded, unless such are skipped
 */
export async function* windowsOf(
  documents: DocumentSource,
  encode: Encode,
  { sequence, onBad, tokens: most = Number.POSITIVE_INFINITY, onDocument = () => {} }: WindowOptions,
): AsyncGenerator<Row> {
  let row: Row | undefined;
  let tokens = 0;
  for await (const item of documents.read()) {
    const encoded = item instanceof BadDocument ? item : encodedOrBad(encode, item);
    onDocument(encoded instanceof BadDocument);
    if (encoded instanceof BadDocument) {
      if (onBad === 'stop') throw encoded;
      continue;
    }
    for (const window of evaluationRows(encoded, sequence, (item as { id: string }).id)) {
      tokens += window.filled;
      if (row && tokens > most) {
        yield row;
        return;
      }
      if (row && appendWindow(row, window)) continue;
      if (row) yield row;
      row = window;
    }
  }
  if (row) yield row;
}
