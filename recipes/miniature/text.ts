import { writeFileSync } from 'node:fs';
import { InputError } from '#src/base/errors.js';
import { runProgram } from '#src/cli/program.js';
import { DOCUMENTS, makeCorpora, toJsonl } from './corpora.js';

/**
 * Writes a longer text than the bundled one: `node build/recipes/miniature/text.js DOCUMENTS FILE.jsonl`. It begins with
 * the documents of corpus.jsonl, and none of the held-out ones is in it.
 */
await runProgram(async () => {
  const [documents, file] = process.argv.slice(2);
  const count = Number(documents);
  if (!Number.isInteger(count) || count < 1 || file === undefined) {
    throw new InputError(
      `expected a number of documents and a file to write, found ${process.argv.slice(2).join(' ') || 'nothing'}; ` +
        'give both, as in 20000 text.jsonl',
    );
  }
  const { corpus } = makeCorpora({ ...DOCUMENTS, corpus: count, student: 0, teacher: 0 });
  writeFileSync(file, toJsonl(corpus));
});
