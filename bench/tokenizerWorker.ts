import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { loadTokenizer } from '#src/data/tokenizer.js';

/** Says when it has loaded; told to start, encodes a text for a while and says how many MB a second that were. */
const { folder, text: path, PIECE } = workerData as { folder: string; text: string; PIECE: number };
const MILLISECONDS = 2000;

const tokenizer = await loadTokenizer(folder);
const text = readFileSync(path, 'utf8');
let at = 0;

function encodePiece(): number {
  const piece = text.slice(at, at + PIECE);
  at = at + PIECE < text.length ? at + PIECE : 0;
  tokenizer.encode(piece);
  return Buffer.byteLength(piece);
}

for (let i = 0; i < 200; i++) encodePiece();
parentPort!.postMessage('loaded');
parentPort!.once('message', () => {
  const start = performance.now();
  let bytes = 0;
  while (performance.now() - start < MILLISECONDS) bytes += encodePiece();
  parentPort!.postMessage(bytes / 1000 / (performance.now() - start));
});
