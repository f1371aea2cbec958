import { BadDocument } from '#src/data/documents.js';
import { open, textOf } from './support.js';

/** Reads all documents of a file: `node build/tests/data/documents/readAll.js PATH`. */

const start = performance.now();
let [documents, characters, bytesResident] = [0, 0, 0];
for await (const item of (await open(process.argv[2]!)).read()) {
  if (item instanceof BadDocument) throw item;
  documents++;
  characters += textOf(item).length;
  // The peak that the system keeps begins with that of the parent.
  if (documents % 500 === 0) bytesResident = Math.max(bytesResident, process.memoryUsage.rss());
}
const seconds = (performance.now() - start) / 1000;
console.log(JSON.stringify({ documents, characters, bytesResident, seconds }));
