import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '../../support.js';

/** The made-up items of tests/goldens/tasks in the layouts of local files. */

const lines = (...records: readonly object[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

const arcItem = (stem: string, answerKey: string, labels: string, ...texts: readonly string[]) => ({
  question: { stem, choices: texts.map((text, i) => ({ text, label: labels[i] })) },
  answerKey,
});

const hellaswagItem = (ctx_a: string, ctx_b: string, label: number, ...endings: readonly string[]) => ({
  ...{ activity_label: 'Tree', ctx_a, ctx_b, label, endings },
});

const ARC = lines(
  arcItem('the cat?', 'B', 'ABC', 'sat', 'ran', 'a tree'),
  arcItem('the red dog?', '4', '1234', 'on', 'the', 'mat', 'and'),
);
const MMLU =
  'question,choice0,choice1,choice2,choice3,answer\n" the cat ",sat, ran,,tree,2\n"a\nmat",1,2,3,4,0\n';
const GSM8K = lines(
  { question: 'the cats?', answer: '1 + 1 = <<1+1=2>>2\n#### 2' },
  { question: 'the dogs?', answer: 'a dog\n#### 1,000' },
);

export const MADE_UP: Readonly<Record<string, string>> = {
  'arc/ARC-Challenge-Test.jsonl': ARC,
  'arc/ARC-Challenge-Dev.jsonl': ARC,
  'hellaswag/validation.jsonl': lines(
    hellaswagItem('the cat [title] sat.', 'the DOG', 1, 'ran.', '[step] sat  on   a mat.'),
    hellaswagItem('a house.', '', 0, 'and', 'the', 'red', 'tree'),
    hellaswagItem('a mat.', 'it', 0, 'is red', '[header]is a tree'),
  ),
  'mmlu/test/virology_test.csv': MMLU,
  'mmlu/dev/virology_dev.csv': MMLU,
  'truthfulqa/TruthfulQA.csv':
    'Type,Question,Best Answer,Correct Answers,Incorrect Answers\nx,the cat?,sat, sat;sat on a mat; ,ran; a dog\n',
  'winogrande/validation.jsonl': lines(
    {
      context_options: ['the cat and the dog: cat', 'the cat and the dog: dog'],
      continuation: 'sat on the mat.',
      gold: 0,
    },
    { context_options: ['a dog', 'a house'], continuation: 'ran to a tree.', gold: 1 },
    {
      context_options: ['the house is red and the tree', 'the house is red and the mat'],
      continuation: '.',
      gold: 0,
    },
  ),
  'gsm8k/test.jsonl': GSM8K,
  'gsm8k/train.jsonl': GSM8K,
  'qmsum/test.jsonl': lines({
    meeting_transcripts: [
      { speaker: 'cat', content: 'the dog ran' },
      { speaker: 'dog', content: 'the cat sat on the mat' },
    ],
    general_query_list: [{ query: 'the cat and the dog?', answer: 'the dog ran and the cat sat' }],
    specific_query_list: [{ query: 'the cat?', answer: 'the cat sat', relevant_text_span: [['1', '1']] }],
  }),
};

/** A fresh folder of task data; files that are undefined are left out. @returns its path */
export function madeUpData(changes: Readonly<Record<string, string | undefined>> = {}): string {
  const folder = temporaryFolder('task-data');
  for (const [path, content] of Object.entries({ ...MADE_UP, ...changes })) {
    if (content === undefined) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}
