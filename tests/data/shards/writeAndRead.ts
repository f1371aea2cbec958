import { openDocuments } from '#src/data/documents.js';
import { createEncode } from '#src/data/encoding.js';
import { RowStream } from '#src/data/packing.js';
import { units, writeShards } from './support.js';

/** Writes shards of ids, then packs them: `node build/tests/data/shards/writeAndRead.js FOLDER DOCUMENTS TOKENS`. */

const [folder, documents, length] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])];
let bytesResident = 0;
const measure = () => {
  bytesResident = Math.max(bytesResident, process.memoryUsage.rss());
};

function* examples() {
  for (let i = 0; i < documents; i++) {
    if (i % 100 === 0) measure();
    yield { tokens: Uint32Array.from({ length }, (_, t) => (i + t) % 60_000), bytes: length, fraction: 0 };
  }
}

writeShards(folder, examples());
const options = { sequence: 1024, blockRows: 64, seed: 1, repeat: false };
const encode = createEncode(units, { eos: false });
const rows = new RowStream(await openDocuments({ paths: [folder] }), encode, options);
let pairs = 0;
for (let row = await rows.next(); row; row = await rows.next()) {
  pairs += row.positions.length;
  measure();
}
console.log(JSON.stringify({ pairs, mibResident: bytesResident / 2 ** 20 }));
