import { z } from 'zod';
import { excerpt, InputError } from '#src/base/errors.js';
import { runProgram } from '#src/cli/program.js';
import { localFiles } from '#src/data/documents/files.js';
import { readTable, type TableRow } from '#src/data/documents/tables.js';
import { permutation } from '#src/data/random.js';
import { writeTo } from '../writeTo.js';

/** A record of QMSum, as far as it is read here. */
const meetingSchema = z.object({
  meeting_transcripts: z.array(z.object({ speaker: z.string(), content: z.string() })),
});

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
  const rows = (await Promise.all(localFiles(from).map(readTable))).flat();
  const transcripts = rows.map(transcriptOf);
  const texts = Array.from(permutation(rows.length, 0, 0), (i) => middleOf(transcripts[i]!, words));
  writeTo(to, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
});

/** Turns as lines `SPEAKER: WORDS`, as in the prompts of queries. */
function transcriptOf({ value, place }: TableRow): string {
  const meeting = meetingSchema.safeParse(value);
  if (!meeting.success) {
    throw new InputError(
      `${place}: expected meeting_transcripts with turns of speaker and content, found ${excerpt(value)}; give a file of QMSum`,
    );
  }
  const { meeting_transcripts: turns } = meeting.data;
  return turns.map(({ speaker, content }) => `${speaker}: ${content.trim()}`).join('\n');
}

function middleOf(text: string, words = Number.POSITIVE_INFINITY): string {
  const starts = Array.from(text.matchAll(/\S+/g), ({ index }) => index);
  const first = Math.max(0, Math.floor((starts.length - words) / 2));
  return text.slice(starts[first], starts[first + words]).trimEnd();
}
