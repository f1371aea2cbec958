import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointPath, pruneCheckpoints } from '#src/formats/checkpointFiles.js';

/** Deletes checkpoints of 2000 files for ever, telling each step before, until it is killed. Argument: a folder. */
const parent = process.argv[2]!;
for (let step = 1; ; step++) {
  const filling = join(parent, 'filling');
  mkdirSync(filling);
  for (let i = 0; i < 2000; i++) writeFileSync(join(filling, String(i)), '');
  renameSync(filling, checkpointPath(parent, step));
  process.stdout.write(`${step}\n`);
  pruneCheckpoints(parent, 0);
}
