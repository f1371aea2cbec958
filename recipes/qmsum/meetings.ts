import { readFileSync, writeFileSync } from 'node:fs';
import { InputError } from '#src/base/errors.js';
import { runProgram } from '#src/cli/program.js';
import { permutation } from '#src/data/random.js';

/** A record of QMSum, as far as it is read here. */
interface Meeting {
  readonly meeting_transcripts: readonly { readonly speaker: string; readonly content: string }[];
}

/**
 * Writes the transcripts of QMSum's meetings as text to learn from, a document each:
 * `node build/recipes/qmsum/meetings.js train.jsonl MEETINGS.jsonl [WORDS]`. The published files are sorted by kind of
 * meeting; here they are shuffled, always alike. With WORDS a document is so many words from its meeting's middle, so that
 * a short held-out text has something of every kind.
 */
await runProgram(async () => {
  const [from, to, count] = process.argv.slice(2);
  const words = count === undefined ? undefined : Number(count);
  if (!from || !to || (words !== undefined && !(Number.isInteger(words) && words > 0))) {
    throw new InputError(
      `meetings: expected a .jsonl file of QMSum, a file to write and perhaps a number of words, found ` +
        `${process.argv.slice(2).join(' ') || 'nothing'}; give them as in train.jsonl meetings.jsonl 500`,
    );
  }
  const lines = readFileSync(from, 'utf8').split('\n').filter(Boolean);
  const texts = Array.from(permutation(lines.length, 0, 0), (i) => middleOf(transcriptOf(lines[i]!), words));
  writeFileSync(to, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
});

/** Turns as lines `SPEAKER: WORDS`, as in the prompts of queries. */
function transcriptOf(line: string): string {
  const { meeting_transcripts } = JSON.parse(line) as Meeting;
  return meeting_transcripts.map(({ speaker, content }) => `${speaker}: ${content.trim()}`).join('\n');
}

function middleOf(text: string, words = Number.POSITIVE_INFINITY): string {
  const starts = Array.from(text.matchAll(/\S+/g), ({ index }) => index);
  const first = Math.max(0, Math.floor((starts.length - words) / 2));
  return text.slice(starts[first], starts[first + words]).trimEnd();
}
