import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withOptionTables } from './readmeOptions.js';
import { projectRoot } from './support.js';

const path = join(projectRoot, 'README.md');

test('the option tables of the README are those of options.ts (UPDATE=1 rewrites them)', () => {
  const readme = readFileSync(path, 'utf8');
  const expected = withOptionTables(readme);
  if (process.env.UPDATE) writeFileSync(path, expected);
  else assert.fixture(readme, expected);
});

test.run();
