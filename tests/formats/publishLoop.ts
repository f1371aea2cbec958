import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkpointPath,
  pruneCheckpoints,
  publishFile,
  publishFolder,
} from '#src/formats/checkpointFiles.js';

/** Publishes checkpoints and a file for ever, telling each step's number, until it is killed. Argument: a folder. */
const parent = process.argv[2]!;
for (let step = 1; ; step++) {
  const bytes = new Uint8Array(200_000).fill(step % 251);
  await publishFolder(checkpointPath(parent, step), (folder) => {
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), bytes);
  });
  publishFile(join(parent, 'latest'), [bytes.subarray(0, 1000), bytes.subarray(1000)]);
  pruneCheckpoints(parent, 2);
  process.stdout.write(`${step}\n`);
}
