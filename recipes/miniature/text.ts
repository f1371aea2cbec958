import { InputError } from '#src/base/errors.js';
import { runProgram } from '#src/cli/program.js';
import { writeTo } from '../writeTo.js';
import { DOCUMENTS, makeCorpora, toJsonl, toLines } from './corpora.js';
import { equationOf, type MiniatureExample, makeExamples, puzzleOf, taleOf } from './examples.js';

/** Of a question and its answer: they fit a row of 64 tokens. */
const MOST_CHARACTERS = 160;

/**
 * Writes longer texts than the bundled ones: `node build/recipes/miniature/text.js KIND DOCUMENTS FILE.jsonl`. KIND is
 * `text`, which begins with the documents of corpus.jsonl, or `questions`: what short documents behind these ask, as
 * prompts and completions to fine-tune on. Nothing in them is held out.
 */
const KINDS: Readonly<Record<string, (documents: number) => string>> = {
  text: (documents) => toJsonl(makeCorpora({ ...DOCUMENTS, corpus: documents }).corpus),
  questions(documents) {
    const { corpus, examples, ...others } = makeCorpora({
      ...DOCUMENTS,
      corpus: DOCUMENTS.corpus + documents,
    });
    const heldOut = makeExamples({ corpus: corpus.slice(0, DOCUMENTS.corpus), examples, ...others });
    const asked = new Set([...heldOut.puzzles, ...heldOut.arithmetic].map(({ prompt }) => prompt));
    const found = corpus
      .slice(DOCUMENTS.corpus)
      .flatMap((text) => puzzleOf(text) ?? equationOf(text) ?? taleOf(text) ?? []);
    const isShort = ({ prompt, completion }: MiniatureExample) =>
      prompt.length + completion.length <= MOST_CHARACTERS;
    return toLines(found.filter((example) => isShort(example) && !asked.has(example.prompt)));
  },
};

await runProgram(async () => {
  const [kind = '', documents, file] = process.argv.slice(2);
  const make = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  const count = Number(documents);
  if (!make || !Number.isInteger(count) || count < 1 || file === undefined) {
    throw new InputError(
      `expected ${Object.keys(KINDS).join(' or ')}, a number of documents and a file, found ` +
        `${process.argv.slice(2).join(' ') || 'nothing'}; give all three, as in text 20000 text.jsonl`,
    );
  }
  writeTo(file, make(count));
});
