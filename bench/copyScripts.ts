import { copyFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMIT_FILE, checkedOut } from './commit.js';

/** The last step of a build: puts the scripts of bench/ beside the compiled benches, which then need no checkout. */

const built = fileURLToPath(new URL('.', import.meta.url));
const sources = join(built, '../../bench');
for (const name of readdirSync(sources)) {
  if (/\.(sh|py)$/.test(name)) copyFileSync(join(sources, name), join(built, name));
}
const described = checkedOut();
if (described === undefined) rmSync(COMMIT_FILE, { force: true });
else writeFileSync(COMMIT_FILE, `${described}\n`);
