import { z } from 'zod';
import { excerpt, InputError } from '../../base/errors.js';
import { warnOnce } from '../../base/warnings.js';
import type { ChoiceItem, Part } from './item.js';
import { MMLU_GROUPS, MMLU_SUBJECTS } from './mmluSubjects.js';
import { accuracy } from './multipleChoice.js';
import { stripped } from './pythonText.js';
import type { ChoiceTask } from './task.js';
import { choiceLayout, type Layouts, type TaskData } from './taskData.js';

const LETTERS = ['A', 'B', 'C', 'D'];

const layouts: Layouts<ChoiceItem> = {
  /** The files by subject: choices in columns of their own, the answer a number from 0. */
  local: choiceLayout(
    z.looseObject({
      question: z.string(),
      choice0: z.string(),
      choice1: z.string(),
      choice2: z.string(),
      choice3: z.string(),
      answer: z.string(),
    }),
    ({ question, choice0, choice1, choice2, choice3, answer }) =>
      itemOf(question, [choice0, choice1, choice2, choice3], answer),
  ),
  /** As cais/mmlu. */
  hub: choiceLayout(
    z.looseObject({
      question: z.string(),
      choices: z.array(z.string()).length(LETTERS.length, `expected ${LETTERS.length} choices`),
      answer: z.int(),
    }),
    ({ question, choices, answer }) => itemOf(question, choices, answer),
  ),
};

/** MMLU: 57 subjects, four choices; what is scored is the letter. Each subject shows the first questions of its own dev set. */
export const mmlu: ChoiceTask = {
  kind: 'choice',
  name: 'mmlu',
  shots: 5,
  headline: 'acc',
  measure: accuracy,
  groups: groupsOf,
  async read(data) {
    const parts: Part<ChoiceItem>[] = [];
    for (const subject of subjectsIn(data)) parts.push(await readSubject(data, subject));
    return parts;
  },
};

/** All subjects; of a folder those that it has. */
function subjectsIn(data: TaskData): readonly string[] {
  if (data.folder === undefined) return MMLU_SUBJECTS;
  const files = data.list('mmlu/test');
  const found = MMLU_SUBJECTS.filter((subject) => files.includes(`${subject}_test.csv`));
  if (found.length === 0) {
    throw new InputError(
      `--task-data: expected mmlu/test/SUBJECT_test.csv in ${data.folder}, such as ${MMLU_SUBJECTS[0]}_test.csv, found none; ` +
        'add them, or leave --task-data out to read the data from the Hub',
    );
  }
  if (found.length < MMLU_SUBJECTS.length) {
    warnOnce(
      `mmlu: ${found.length} of ${MMLU_SUBJECTS.length} subjects are in ${data.folder}; its results are of these`,
    );
  }
  return found;
}

async function readSubject(data: TaskData, subject: string): Promise<Part<ChoiceItem>> {
  const read = (split: string) =>
    data.items({
      local: [`mmlu/${split}/${subject}_${split}.csv`],
      hub: `cais/mmlu/${subject}/${split}-*.parquet`,
      layouts,
    });
  return {
    name: nameOf(subject),
    items: await read('test'),
    pool: await read('dev'),
    draw: 'first',
    preamble: `The following are multiple choice questions (with answers) about ${subject.replaceAll('_', ' ')}.\n\n`,
  };
}

const nameOf = (subject: string): string => `mmlu_${subject}`;

/** All parts as `mmlu`, and the groups of which there are some. */
function groupsOf(parts: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = Object.entries(MMLU_GROUPS).map(([group, subjects]) => {
    const names = subjects.map(nameOf).filter((name) => parts.includes(name));
    return [`mmlu_${group}`, names] as const;
  });
  return new Map([['mmlu', parts] as const, ...groups.filter(([, names]) => names.length > 0)]);
}

function itemOf(
  question: string,
  choices: readonly string[],
  answer: number | string,
): Omit<ChoiceItem, 'record'> {
  const right = LETTERS.findIndex((_, i) => String(i) === String(answer).trim());
  if (right < 0) {
    throw new InputError(
      `answer: expected a number from 0 to ${LETTERS.length - 1}, found ${excerpt(answer)}`,
    );
  }
  const lines = choices.map((choice, i) => `${LETTERS[i]}. ${choice}\n`).join('');
  const context = `${stripped(question)}\n${lines}Answer:`;
  return { contexts: [context], choices: LETTERS, right: [right], example: `${context} ${LETTERS[right]}` };
}
