import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Problem } from '#src/data/documents/problems.js';
import type { MeetingQuery } from '#src/data/examples.js';
import type { ChoiceItem, Item, Part, WrittenItem } from '#src/evaluation/tasks/item.js';
import { MMLU_SUBJECTS } from '#src/evaluation/tasks/mmluSubjects.js';
import { argumentsOf, promptOf } from '#src/evaluation/tasks/planTask.js';
import { TASKS } from '#src/evaluation/tasks/registry.js';
import type { MeetingSetting, WrittenTask } from '#src/evaluation/tasks/task.js';
import { taskData } from '#src/evaluation/tasks/taskData.js';
import { QMSUM_DEFAULTS, type QmsumOptions } from '#src/options/qmsum.js';
import { TASK_NAMES, type TaskName } from '#src/options/tasks.js';
import { FakeHub } from '../../hub/server.js';
import { inputErrorOf } from '../../inputErrors.js';
import { projectRoot, temporaryFolder } from '../../support.js';
import { NO_MEETINGS } from './goldenTasks.js';
import { MADE_UP, madeUpData } from './madeUp.js';

/** Made-up items: what becomes of them as prompts, in local files and in the columns of the Hub. */

const readFrom = (task: TaskName, folder: string) => TASKS[task].read(taskData(folder), NO_MEETINGS);
const itemsOf = (parts: readonly Part[]) =>
  parts.map(({ items, pool }) => [items, pool].map((all) => all.map(({ record: _, ...item }: Item) => item)));

const prompts = suite('prompts of made-up items');

/** Each item's texts, with the first of its pool before it. */
async function textsOf(task: TaskName): Promise<unknown[]> {
  const [part] = (await readFrom(task, madeUpData())) as readonly Part<ChoiceItem | WrittenItem>[];
  return part!.items.map((item) =>
    'contexts' in item
      ? argumentsOf(part as Part<ChoiceItem>, { item, shown: [0] })
      : promptOf(part!, [0]) + item.context,
  );
}

prompts('arc_challenge', async () => {
  const context = 'Question: the cat?\nAnswer: ran\n\nQuestion: the cat?\nAnswer:';
  assert.equal((await textsOf('arc_challenge'))[0], [
    [context, ' sat'],
    [context, ' ran'],
    [context, ' a tree'],
  ]);
});

prompts('hellaswag, cleaned, with what was behind the brackets', async () => {
  const context = 'Tree: the cat.  sat. The dog'.replace('.  ', '. ');
  const shown = `${context}  sat on  a mat.\n\n`;
  const [first, second] = (await textsOf('hellaswag')) as string[][][];
  assert.equal(first, [
    [`${shown}${context}`, ' ran.'],
    [`${shown}${context}`, '  sat on  a mat.'],
  ]);
  // An empty second half leaves its space away, as strip does.
  assert.is(second![0]![0], `${shown}Tree: a house.`);
});

prompts('mmlu', async () => {
  const context =
    'The following are multiple choice questions (with answers) about virology.\n\n' +
    'the cat\nA. sat\nB.  ran\nC. \nD. tree\nAnswer: C\n\na\nmat\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:';
  assert.equal(
    (await textsOf('mmlu'))[1],
    ['A', 'B', 'C', 'D'].map((letter) => [context, ` ${letter}`]),
  );
});

prompts('winogrande: the choices are contexts', async () => {
  const shown = 'the cat and the dog: cat sat on the mat.\n\n';
  assert.equal((await textsOf('winogrande'))[1], [
    [`${shown}a dog`, ' ran to a tree.'],
    [`${shown}a house`, ' ran to a tree.'],
  ]);
});

prompts('gsm8k', async () => {
  assert.equal(
    (await textsOf('gsm8k'))[1],
    'Question: the cats?\nAnswer: 1 + 1 = <<1+1=2>>2\n#### 2\n\nQuestion: the dogs?\nAnswer:',
  );
});

prompts('truthfulqa_mc2 with its six questions', async () => {
  const [part] = await readFrom('truthfulqa_mc2', madeUpData());
  assert.match(part!.preamble, /^Q: What is human life .*\nA: .*\n\n(Q: .*\nA: .*\n\n){5}$/);
  const [item] = part!.items as unknown as { choices: string[]; right: number[] }[];
  assert.equal(item!.choices, ['sat', 'sat on a mat', 'ran', 'a dog']);
  assert.equal(item!.right, [0, 1]);
});

const meetingSetting = (prompt: (query: MeetingQuery) => string, options?: QmsumOptions): MeetingSetting => ({
  qmsum: options,
  encodePrompt: (query) => Uint32Array.from(prompt(query), (character) => character.charCodeAt(0)),
  decode: (ids) => String.fromCharCode(...ids),
});

prompts('qmsum: a prompt a query, of the turns that --qmsum names', async () => {
  const data = taskData(madeUpData());
  const prompt = ({ query, transcript }: MeetingQuery) => `${transcript} ${query}`;
  const read = async (options?: QmsumOptions) => {
    const [part] = await TASKS.qmsum.read(data, meetingSetting(prompt, options));
    return (part!.items as readonly WrittenItem[]).map(({ context, target }) => [context, target]);
  };
  const specific = ['dog: the cat sat on the mat the cat?', 'the cat sat'];
  assert.equal(await read(), [specific]);
  const general = 'cat: the dog ran\ndog: the cat sat on the mat the cat and the dog?';
  assert.equal(await read({ ...QMSUM_DEFAULTS, queries: 'all' }), [
    [general, 'the dog ran and the cat sat'],
    specific,
  ]);
  const item = { target: 'the cat sat' } as WrittenItem;
  const { rouge1, rougeL } = (TASKS.qmsum as WrittenTask).measure(item, 'the mat') as Record<string, number>;
  assert.equal([rouge1, rougeL], [0.4, 0.4]);
});

prompts('qmsum is in no data set on the Hub, and holds meetings', async () => {
  const setting = meetingSetting(() => 'a');
  const hubless = () => TASKS.qmsum.read(taskData(undefined), setting);
  assert.match(
    await inputErrorOf(hubless),
    /^--task-data: expected a folder with qmsum\/test\.jsonl, which is in no /,
  );
  const other = () =>
    TASKS.qmsum.read(taskData(madeUpData({ 'qmsum/test.jsonl': '{"text":"a"}\n' })), setting);
  assert.match(
    await inputErrorOf(other),
    /test\.jsonl:1: expected a meeting of QMSum, found another record; /,
  );
  const failing = meetingSetting(() => {
    throw new Problem('expected a chat template');
  });
  assert.match(
    await inputErrorOf(() => TASKS.qmsum.read(taskData(madeUpData()), failing)),
    /test\.jsonl:1#0: expected a chat template$/,
  );
});

prompts.run();

const hub = suite('tasks from the Hub');

/** Data sets, and in which of their files the made-up items are. */
const REPOSITORIES: Partial<Record<TaskName, [name: string, golden: string, ...files: string[]]>> = {
  arc_challenge: ['allenai/ai2_arc', 'arc', 'ARC-Challenge/test-', 'ARC-Challenge/train-'],
  hellaswag: ['Rowan/hellaswag', 'hellaswag', 'data/validation-', 'data/train-'],
  mmlu: ['cais/mmlu', 'mmlu', ...MMLU_SUBJECTS.flatMap((name) => [`${name}/test-`, `${name}/dev-`])],
  truthfulqa_mc2: ['truthfulqa/truthful_qa', 'truthfulqa', 'multiple_choice/validation-'],
  winogrande: ['allenai/winogrande', 'winogrande', 'winogrande_xl/validation-', 'winogrande_xl/train-'],
  gsm8k: ['openai/gsm8k', 'gsm8k', 'main/test-', 'main/train-'],
};

for (const task of TASK_NAMES.filter((name) => REPOSITORIES[name])) {
  hub(`${task} has the items of the local files`, async () => {
    const [name, golden, ...starts] = REPOSITORIES[task]!;
    const content = readFileSync(join(projectRoot, 'tests/goldens/tasks', `${golden}.parquet`));
    const files = Object.fromEntries(starts.map((start) => [`${start}00000-of-00001.parquet`, content]));
    const server = await FakeHub.start(name, files, ['main'], 'dataset');
    try {
      const environment = { ...{ endpoint: server.endpoint, cache: temporaryFolder('hub'), offline: false } };
      const parts = await TASKS[task].read(
        taskData(undefined, { environment: { ...environment, token: undefined }, delay: async () => {} }),
        NO_MEETINGS,
      );
      const local = await readFrom(task, madeUpData());
      assert.is(parts.length, task === 'mmlu' ? MMLU_SUBJECTS.length : 1);
      for (const part of parts) assert.equal(itemsOf([part]), itemsOf(local));
    } finally {
      await server.close();
    }
  });
}

hub.run();

const wrong = suite('wrong data of tasks');

const arc = (record: object) => ({ 'arc/ARC-Challenge-Test.jsonl': `${JSON.stringify(record)}\n` });
const question = { stem: 'a', choices: [{ text: 'b', label: 'A' }] };

for (const [what, task, changes, message] of [
  [
    'a missing file',
    'gsm8k',
    { 'gsm8k/train.jsonl': undefined },
    /^--task-data: expected gsm8k\/train\.jsonl in .*, found nothing of that name; add it, /,
  ],
  [
    'an empty file',
    'gsm8k',
    { 'gsm8k/test.jsonl': '' },
    /gsm8k\/test\.jsonl: expected items of a task, found none; /,
  ],
  [
    'blank lines alone',
    'gsm8k',
    { 'gsm8k/test.jsonl': '\n \n' },
    /gsm8k\/test\.jsonl: expected items of a task, found none; /,
  ],
  [
    'a missing column',
    'gsm8k',
    { 'gsm8k/test.jsonl': '{"question":"a"}\n' },
    /test\.jsonl:1: answer: expected string, found nothing; is it the data of this task\?$/,
  ],
  [
    'no object',
    'gsm8k',
    { 'gsm8k/test.jsonl': '[]\n' },
    /test\.jsonl:1: record: expected object, found \[\]; /,
  ],
  [
    'no choices',
    'arc_challenge',
    arc({ question: { stem: 'a', choices: [] }, answerKey: 'A' }),
    /Test\.jsonl:1: question\.choices: expected at least 1 choice, found \[\]; /,
  ],
  [
    'a key without its choice',
    'arc_challenge',
    arc({ question, answerKey: 'E' }),
    /Test\.jsonl:1: answerKey: expected one of the labels \["A"\], found "E"$/,
  ],
  [
    'no endings',
    'hellaswag',
    { 'hellaswag/validation.jsonl': '{"activity_label":"","ctx_a":"","ctx_b":"","endings":[],"label":0}' },
    /validation\.jsonl:1: endings: expected at least 1 ending, found \[\]; /,
  ],
  [
    'a label that is none',
    'hellaswag',
    {
      'hellaswag/validation.jsonl': '{"activity_label":"","ctx_a":"","ctx_b":"","endings":["a"],"label":""}',
    },
    /:1: label: expected a number from 0 to 0, found ""$/,
  ],
  ...['" "', '"1.0"', '"0x1"', '-1', '2'].map(
    (label) =>
      [
        `a label like ${label}`,
        'hellaswag',
        {
          'hellaswag/validation.jsonl': `{"activity_label":"","ctx_a":"","ctx_b":"","endings":["a","b"],"label":${label}}`,
        },
        /:1: label: expected a number from 0 to 1, found /,
      ] as const,
  ),
  [
    'a choice without another',
    'arc_challenge',
    arc({ question, answerKey: 'A' }),
    /Test\.jsonl:1: expected some choices that are right and some that are not, found 1 right of 1; mend the item/,
  ],
  [
    'a sentence with one option',
    'winogrande',
    { 'winogrande/validation.jsonl': '{"context_options":["a"],"continuation":"c","gold":0}' },
    /:1: expected some choices .*, found 1 right of 1; /,
  ],
  [
    'no right answer',
    'truthfulqa_mc2',
    { 'truthfulqa/TruthfulQA.csv': 'Question,Correct Answers,Incorrect Answers\na,,b;c\n' },
    /TruthfulQA\.csv:2: expected some choices .*, found 0 right of 2; /,
  ],
  [
    'no wrong answer',
    'truthfulqa_mc2',
    { 'truthfulqa/TruthfulQA.csv': 'Question,Correct Answers,Incorrect Answers\na,b;c,\n' },
    /TruthfulQA\.csv:2: expected some choices .*, found 2 right of 2; /,
  ],
  [
    'an option that is not there',
    'winogrande',
    { 'winogrande/validation.jsonl': '{"context_options":["a","b"],"continuation":"c","gold":2}' },
    /:1: gold: expected a number from 0 to 1, found 2$/,
  ],
  [
    'no answers',
    'truthfulqa_mc2',
    { 'truthfulqa/TruthfulQA.csv': 'Question,Correct Answers,Incorrect Answers\na, ; ,\n' },
    /TruthfulQA\.csv:2: answers: expected at least 1 answer, found none$/,
  ],
  [
    'a CSV without the column',
    'truthfulqa_mc2',
    { 'truthfulqa/TruthfulQA.csv': 'Question,Correct Answers\na,b\n' },
    /TruthfulQA\.csv:2: Incorrect Answers: expected string, found nothing; /,
  ],
  [
    'a letter for an answer',
    'mmlu',
    { 'mmlu/test/virology_test.csv': 'question,choice0,choice1,choice2,choice3,answer\na,b,c,d,e,A\n' },
    /virology_test\.csv:2: answer: expected a number from 0 to 3, found "A"$/,
  ],
  [
    'no subject',
    'mmlu',
    { 'mmlu/test/virology_test.csv': undefined },
    /^--task-data: expected mmlu\/test\/SUBJECT_test\.csv in .*, such as abstract_algebra_test\.csv, found none; /,
  ],
] as const) {
  wrong(`${task}: ${what} is one line with its place`, async () => {
    assert.match(await inputErrorOf(() => readFrom(task, madeUpData(changes as never))), message);
  });
}

wrong('what the folder is called is no pattern', async () => {
  const folder = join(temporaryFolder('task-data'), '[a]{b}*');
  const file = MADE_UP['hellaswag/validation.jsonl'];
  const others = { 'hellaswag/validation_1.jsonl': file, 'hellaswag/validation_2.jsonl': '' };
  cpSync(madeUpData({ ...others, 'hellaswag/validation.jsonl': undefined }), folder, { recursive: true });
  const found = await readFrom('hellaswag', folder);
  assert.equal(itemsOf(found), itemsOf(await readFrom('hellaswag', madeUpData())));
});

wrong('a folder that is none', async () => {
  const folder = madeUpData();
  for (const [path, found] of [
    [join(folder, 'nowhere'), 'nothing'],
    [join(folder, 'gsm8k/test.jsonl'), 'a file'],
  ]) {
    assert.match(
      await inputErrorOf(() => taskData(path)),
      `--task-data: expected a folder of task data, found ${found} at ${path}; check it`,
    );
  }
});

wrong.run();
