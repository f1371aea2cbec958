import { wholeHash } from '#src/formats/hashes.js';
import { listSegments, openSegment, readStates } from '#src/formats/teacherCache/segments.js';

const hash = await wholeHash();

/** What is in a cache of hidden states: those of all pieces by key, in its order, and how many were stored. */
export function piecesIn(folder: string) {
  const found = new Map<string, Buffer>();
  let count = 0;
  for (const name of listSegments(folder)) {
    for (const [key, stored] of openSegment(folder, name, hash).pieces) {
      const bytes = Buffer.alloc(stored.byteLength);
      readStates(stored, bytes, hash);
      found.set(key, bytes);
      count++;
    }
  }
  return { pieces: new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1))), count };
}
